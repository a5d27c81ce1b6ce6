//! Reads what `strace -f -y -x` wrote about calls that write and sync.

use std::collections::HashMap;

/// One system call on a file descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Such as `fdatasync`.
    pub name: String,
    /// What the descriptor stood for: a path, or `socket:[…]`.
    pub file: String,
    /// The bytes it was given, as far as the trace shows them.
    pub data: Vec<u8>,
    /// What it returned; none when the process ended before that.
    pub result: Option<i64>,
    /// The line of the trace at which it began.
    pub began: usize,
    /// The line at which it returned.
    pub ended: usize,
}

/// All calls of a trace, in the order in which they began.
pub fn parse(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut pending: HashMap<&str, usize> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if rest.starts_with("<...") {
            if let Some(at) = pending.remove(thread) {
                calls[at].ended = number;
                calls[at].result = result(rest);
            }
        } else if let Some(mut call) = begin(rest) {
            (call.began, call.ended) = (number, number);
            if rest.ends_with("<unfinished ...>") {
                call.ended = usize::MAX;
                pending.insert(thread, calls.len());
            } else {
                call.result = result(rest);
            }
            calls.push(call);
        }
    }
    calls
}

/// `name(fd<file>, …`
fn begin(line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('<')?;
    let (file, arguments) = rest.split_once('>')?;
    let data = strings(arguments);
    let (name, file) = (name.to_owned(), file.to_owned());
    Some(Call { name, file, data, result: None, began: 0, ended: 0 })
}

fn result(line: &str) -> Option<i64> {
    let (_, result) = line.rsplit_once(" = ")?;
    result.split(' ').next()?.parse().ok()
}

/// The contents of all quoted strings, one after the other.
fn strings(text: &str) -> Vec<u8> {
    let mut data = Vec::new();
    let mut bytes = text.bytes().peekable();
    let mut inside = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => inside = !inside,
            b'\\' if inside => match bytes.next() {
                Some(b'n') => data.push(b'\n'),
                Some(b'r') => data.push(b'\r'),
                Some(b't') => data.push(b'\t'),
                Some(b'v') => data.push(0x0b),
                Some(b'f') => data.push(0x0c),
                Some(b'x') => data.push(number(&mut bytes, 0, 16, 2)),
                Some(digit @ b'0'..=b'7') => data.push(number(&mut bytes, digit - b'0', 8, 2)),
                Some(other) => data.push(other),
                None => {}
            },
            byte if inside => data.push(byte),
            _ => {}
        }
    }
    data
}

/// At most `digits` more digits of a number that begins with `value`.
fn number(
    bytes: &mut std::iter::Peekable<std::str::Bytes<'_>>,
    value: u8,
    radix: u32,
    digits: usize,
) -> u8 {
    let mut value = u32::from(value);
    for _ in 0..digits {
        let Some(digit) = bytes.peek().and_then(|byte| char::from(*byte).to_digit(radix)) else {
            break;
        };
        value = value * radix + digit;
        bytes.next();
    }
    value.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_several_threads_are_put_together() {
        let trace = "\
10 write(5</d/db/4.log>, \"\\x00\\x08ab\\n\\12\\0\"..., 9) = 9
10 fdatasync(5</d/db/4.log> <unfinished ...>
11 writev(7<socket:[3]>, [{iov_base=\"a\\\"\", iov_len=2}, {iov_base=\"b\", iov_len=1}], 2) = 3
10 <... fdatasync resumed>) = 0
12 +++ exited with 0 +++
11 write(7<socket:[3]>, \"x\", 1) = -1 EPIPE (Broken pipe)
11 fsync(9</d/f> <unfinished ...>
";
        let calls = parse(trace);
        let told: Vec<_> =
            calls.iter().map(|call| (&*call.name, &*call.file, call.began, call.ended)).collect();
        assert_eq!(
            told,
            [
                ("write", "/d/db/4.log", 0, 0),
                ("fdatasync", "/d/db/4.log", 1, 3),
                ("writev", "socket:[3]", 2, 2),
                ("write", "socket:[3]", 5, 5),
                ("fsync", "/d/f", 6, usize::MAX),
            ]
        );
        assert_eq!(calls[0].data, b"\x00\x08ab\n\n\0");
        assert_eq!(calls[2].data, b"a\"b");
        let results: Vec<_> = calls.iter().map(|call| call.result).collect();
        assert_eq!(results, [Some(9), Some(0), Some(3), Some(-1), None]);
    }
}
