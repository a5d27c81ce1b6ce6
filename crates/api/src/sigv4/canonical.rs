//! The canonical form of a request, and the text that is signed.

use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use thiserror::Error;

use super::date::AmzDate;
use super::{ALGORITHM, Request};

/// A header that should be part of the signature is not in the request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the request has no '{0}' header")]
pub struct AbsentHeader(pub String);

/// How the path enters the canonical request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathRule {
    /// Dot segments resolved, runs of slashes made one (RFC 3986 section 5.2.4), and encoded once
    /// more.
    Normalized,
    /// As it was sent, and encoded once more.
    AsSent,
    /// As it was sent: what S3 has.
    Encoded,
}

/// The canonical request of `request` with these headers (lower case, sorted) and the body's hash
/// in hexadecimal. Bytes, because header values need not be UTF-8.
///
/// # Errors
/// A header of the list is not in the request.
pub fn canonical_request(
    request: &Request<'_>,
    signed_headers: &[&str],
    body_hash: &str,
    path: PathRule,
) -> Result<Vec<u8>, AbsentHeader> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(request.method.as_bytes());
    out.push(b'\n');
    push_path(&mut out, request.path, path);
    out.push(b'\n');
    push_query(&mut out, request.query);
    out.push(b'\n');
    for name in signed_headers {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        match request.authority {
            Some(authority) if *name == "host" => push_value(&mut out, authority.as_bytes()),
            _ => push_header(&mut out, request.headers, name)?,
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(signed_headers.join(";").as_bytes());
    out.push(b'\n');
    out.extend_from_slice(body_hash.as_bytes());
    Ok(out)
}

/// The text to sign: algorithm, date, credential scope and the canonical request's SHA-256 in
/// lower-case hexadecimal.
pub fn string_to_sign(date: &AmzDate, scope: &str, hash: &str) -> String {
    format!("{ALGORITHM}\n{}\n{scope}\n{hash}", date.text)
}

/// What RFC 3986 calls unreserved stays as it is.
const NOT_UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const NOT_IN_PATH: &AsciiSet = &NOT_UNRESERVED.remove(b'/');

fn push_path(out: &mut Vec<u8>, path: &str, rule: PathRule) {
    let encoded = |part: &str, out: &mut Vec<u8>| {
        for piece in percent_encode(part.as_bytes(), NOT_IN_PATH) {
            out.extend_from_slice(piece.as_bytes());
        }
    };
    match rule {
        PathRule::AsSent if !path.is_empty() => return encoded(path, out),
        PathRule::Encoded if !path.is_empty() => return out.extend_from_slice(path.as_bytes()),
        _ => {}
    }
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    for segment in &kept {
        out.push(b'/');
        encoded(segment, out);
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    if kept.is_empty() || matches!(last, "" | "." | "..") {
        out.push(b'/');
    }
}

/// Pairs sorted by encoded name, then by encoded value. A `+` is a plus sign, not a space.
fn push_query(out: &mut Vec<u8>, query: &str) {
    let encoded = |part: &str| {
        let decoded: Vec<u8> = percent_decode(part.as_bytes()).collect();
        percent_encode(&decoded, NOT_UNRESERVED).to_string()
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value.as_bytes());
    }
}

/// All values of a header in the order they came, joined by commas.
fn push_header(out: &mut Vec<u8>, headers: &HeaderMap, name: &str) -> Result<(), AbsentHeader> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().ok_or_else(|| AbsentHeader(name.to_owned()))?;
    push_value(out, first.as_bytes());
    for value in values {
        out.push(b',');
        push_value(out, value.as_bytes());
    }
    Ok(())
}

/// A value without outer blanks, inner runs of blanks made one space.
fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> String {
        let mut out = Vec::new();
        push_path(&mut out, path, PathRule::Normalized);
        String::from_utf8(out).unwrap()
    }

    fn query(query: &str) -> String {
        let mut out = Vec::new();
        push_query(&mut out, query);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paths_never_climb_above_the_root() {
        assert_eq!(path(""), "/");
        assert_eq!(path("/../../a"), "/a");
        assert_eq!(path("/a/b/.."), "/a/");
        assert_eq!(path("/a/."), "/a/");
        assert_eq!(path("/a/%2e%2e/b"), "/a/%252e%252e/b");
        assert_eq!(path("a"), "/a");
    }

    #[test]
    fn queries_are_decoded_encoded_and_sorted() {
        assert_eq!(query("b=2&a=2&a=1&&c"), "a=1&a=2&b=2&c=");
        assert_eq!(query("a=%2f+%zz="), "a=%2F%2B%25zz%3D");
        assert_eq!(query("a=%ff"), "a=%FF");
        assert_eq!(query(""), "");
    }
}
