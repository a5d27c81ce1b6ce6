//! Turns valid inputs into bodies that no client would send.

pub mod proto;

use fastrand::Rng;
use serde_json::{Map, Number, Value, json};

/// Lengths around the limits of the API, and powers of two.
const LENGTHS: &[usize] = &[
    0, 1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1023, 1024, 1025, 2047, 2048,
    2049, 4095, 4096, 4097, 6143, 6144, 6145, 8191, 8192, 8193, 32_768, 32_769, 131_072, 131_073,
];
const TEXTS: &[&str] = &[
    "\0",
    "🔑",
    "\u{202e}dlrow",
    "e\u{301}",
    "\u{ffff}",
    "\u{10ffff}",
    "alias/ä",
    "alias/aws/x",
    "alias/",
    "alias//",
    "arn:aws:kms:::",
    "arn:aws:kms:eu-central-1:111122223333:key/",
    "../../etc/passwd",
    "SYMMETRIC_DEFAULT ",
    "symmetric_default",
    "AES_256\0",
    "=",
    "====",
    "AA=A",
    "AAA",
    "%00",
    "\r\n\r\nHTTP/1.1 200",
    "${aws:username}",
    "*",
    "null",
    "1e9",
    "true",
];
const NUMBERS: &[&str] = &[
    "-1",
    "0",
    "-0",
    "1.5",
    "1e3",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1e308",
    "1e999",
    "-1E400",
    "0.0000000000000000000001",
    "01",
    "0x10",
    "NaN",
    "Infinity",
    "--1",
    "1.",
    ".5",
    "1e",
];
const DEEPEST: usize = 50_000;

/// A body made of an input: one to three changes to its values, at times one to its text.
pub fn mutate(rng: &mut Rng, mut input: Value) -> Vec<u8> {
    for _ in 0..rng.u8(1..=3) {
        change(rng, &mut input);
    }
    let mut body = input.to_string().into_bytes();
    if rng.u8(..10) < 4 {
        break_text(rng, &mut body);
    }
    body
}

/// Changes one value somewhere inside.
fn change(rng: &mut Rng, value: &mut Value) {
    let deeper = match value {
        Value::Object(members) if !members.is_empty() && rng.u8(..5) < 4 => {
            let at = rng.usize(..members.len());
            members.values_mut().nth(at)
        }
        Value::Array(items) if !items.is_empty() && rng.bool() => rng.choice(items.iter_mut()),
        _ => None,
    };
    if let Some(deeper) = deeper {
        return change(rng, deeper);
    }
    match value {
        Value::Object(members) if rng.u8(..4) < 3 => change_members(rng, members),
        value => *value = other_value(rng),
    }
}

fn change_members(rng: &mut Rng, members: &mut Map<String, Value>) {
    let name = members.keys().nth(rng.usize(..=members.len())).cloned();
    match (rng.u8(..3), name) {
        (0, Some(name)) => {
            members.remove(&name);
        }
        (1, Some(name)) => {
            let value = members.remove(&name).unwrap_or_default();
            members.insert(swap_case(&name), value);
        }
        _ => {
            let name = ["KeyId", "Plaintext", "GrantTokens", "", "\u{0}", "__type"];
            let name = rng.choice(name).unwrap_or_default();
            members.insert(name.to_owned(), other_value(rng));
        }
    }
}

fn other_value(rng: &mut Rng) -> Value {
    let length = rng.choice(LENGTHS).copied().unwrap_or_default();
    match rng.u8(..9) {
        0 => Value::Null,
        1 => rng.bool().into(),
        2 => Value::String("a".repeat(length)),
        // As base64 this has the length of a blob at its limit.
        3 => Value::String(format!(
            "{}{}",
            "QUJD".repeat(length / 3),
            ["", "QQ==", "QUI="][length % 3]
        )),
        4 => Value::String(rng.choice(TEXTS).copied().unwrap_or_default().to_owned()),
        5 => Number::from_f64(rng.f64() * 1e12).map_or(Value::Null, Value::Number),
        6 => vec![json!("x"); length.min(3000)].into(),
        7 => (0..length.min(3000)).map(|at| (format!("k{at}"), json!("v"))).collect(),
        _ => (0..rng.u8(1..100)).fold(json!("deep"), |inner, _| json!([inner])),
    }
}

fn swap_case(name: &str) -> String {
    let swap = |c: char| {
        if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
    };
    name.chars().map(swap).collect()
}

/// Changes the text itself, mostly so that it is no JSON any more.
fn break_text(rng: &mut Rng, body: &mut Vec<u8>) {
    let at = rng.usize(..=body.len());
    match rng.u8(..10) {
        0 => repeat_member(rng, body),
        1 => body.insert(at, *rng.choice(b"\xff\xc0\xed\x80\0\x1f\"{}[]:,\\").unwrap_or(&0)),
        2 => body.truncate(at),
        3 => body.extend_from_slice(
            rng.choice([&b"}"[..], b"{}", b"\0", b"x", b" \n"]).unwrap_or_default(),
        ),
        4 => splice_value(body, at, rng.choice(NUMBERS).copied().unwrap_or_default().as_bytes()),
        5 => splice_value(body, at, &nested(rng)),
        6 => splice_value(
            body,
            at,
            rng.choice([&br#""\ud800""#[..], br#""\u00""#, br#""\x41""#, b"\"\xff\xfe\""])
                .unwrap_or_default(),
        ),
        7 => {
            *body = rng
                .choice([&b""[..], b" ", b"null", b"[]", b"\"\"", b"0", b"\xef\xbb\xbf{}", b"{"])
                .unwrap_or_default()
                .to_vec()
        }
        8 => *body = nested(rng),
        _ => {
            if let Some(byte) = body.get_mut(at) {
                *byte ^= 1 << rng.u8(..8);
            }
        }
    }
}

/// The first member once more, with the same or another value.
fn repeat_member(rng: &mut Rng, body: &mut Vec<u8>) {
    let Some(Value::Object(members)) = serde_json::from_slice(body).ok() else { return };
    let Some((name, value)) = members.into_iter().next() else { return };
    let value = if rng.bool() { value } else { other_value(rng) };
    let member = format!("{}:{value},", Value::String(name));
    body.splice(1..1, member.into_bytes());
}

/// Puts a text in the place of the value after the next colon.
fn splice_value(body: &mut Vec<u8>, at: usize, text: &[u8]) {
    let colon = body[at..].iter().position(|byte| *byte == b':').map(|found| at + found);
    let Some(start) = colon.or_else(|| body.iter().position(|byte| *byte == b':')) else { return };
    let end = body[start..].iter().position(|byte| matches!(byte, b',' | b'}'));
    let end = end.map_or(body.len(), |found| start + found);
    body.splice(start + 1..end, text.iter().copied());
}

fn nested(rng: &mut Rng) -> Vec<u8> {
    let depth = rng.usize(100..=DEEPEST);
    let (open, close) = *rng.choice(&[("[", "]"), ("{\"a\":", "}")]).unwrap_or(&("[", "]"));
    let close = if rng.bool() { close.repeat(depth) } else { String::new() };
    format!("{}1{close}", open.repeat(depth)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_follow_the_seed_and_differ_between_seeds() {
        let input = json!({"KeyId": "x", "Tags": [{"TagKey": "a", "TagValue": "b"}]});
        let body = |seed| mutate(&mut Rng::with_seed(seed), input.clone());
        let bodies: std::collections::HashSet<_> = (0..2000).map(body).collect();
        assert!(bodies.len() > 1000, "{}", bodies.len());
        assert_eq!(body(5), body(5));
        let broken = bodies.iter().filter(|body| serde_json::from_slice::<Value>(body).is_err());
        assert!((100..1000).contains(&broken.count()));
    }
}
