//! gRPC calls as HTTP/2 sends them, damaged.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use fastrand::Rng;
use http::Request;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::HTTP2_PREFACE;

/// How long a server may be silent before it is told that nothing more comes.
const QUIET: Duration = Duration::from_millis(20);
const HEADER: usize = 9;
const LARGEST: usize = 16_384;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status` as the static table has it, from index 8 on.
const STATUSES: &[&str] = &["200", "204", "206", "304", "400", "404", "500"];
/// The error codes of RFC 9113, section 7.
const ERRORS: &[&str] = &[
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
];

/// The bytes of a connection that makes one call, damaged in one of many ways.
pub fn damaged(rng: &mut Rng, request: &Request<Full<Bytes>>, body: &[u8]) -> Vec<u8> {
    let mut frames = wire(request, body);
    match rng.u8(..8) {
        // The frames as they are not.
        0 | 1 => break_frame(rng, &mut frames),
        2 => {
            let at = rng.usize(..=frames.len());
            frames.insert(at, odd_frame(rng));
        }
        3 => {
            let at = rng.usize(..frames.len());
            let many = vec![frames[at].clone(); rng.usize(1..200)];
            frames.splice(at..at, many);
        }
        4 => {
            let (one, other) = (rng.usize(..frames.len()), rng.usize(..frames.len()));
            frames.swap(one, other);
        }
        5 => frames[2] = frame(HEADERS, END_HEADERS, 1, &garbage(rng, 1..300)),
        // Their bytes as they are not.
        6 => {
            let mut bytes = frames.concat();
            for _ in 0..rng.u8(1..8) {
                let at = rng.usize(..bytes.len());
                bytes[at] ^= 1 << rng.u8(..8);
            }
            return bytes;
        }
        _ => {
            let mut bytes = frames.concat();
            bytes.truncate(rng.usize(..bytes.len()));
            return bytes;
        }
    }
    frames.concat()
}

/// Sends bytes and returns all that comes back until the call is answered, the connection closed,
/// or nothing more to be expected.
///
/// # Errors
/// Nobody listens, or the connection was still open half a minute later.
pub async fn send(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    super::within_time(async {
        let mut stream = TcpStream::connect(address).await?;
        let mut answer = Vec::new();
        if stream.write_all(bytes).await.is_err() {
            return Ok(answer);
        }
        let mut chunk = vec![0; 8192];
        while !is_answered(&answer) {
            match tokio::time::timeout(QUIET, stream.read(&mut chunk)).await {
                Ok(Ok(0) | Err(_)) => return Ok(answer),
                Ok(Ok(length)) => answer.extend_from_slice(&chunk[..length]),
                Err(_) => break,
            }
        }
        if stream.shutdown().await.is_ok() {
            let _ = stream.read_to_end(&mut answer).await;
        }
        Ok(answer)
    })
    .await
}

/// What a server's frames say: the status of a reply, else the error that it ends with.
pub fn kind(answer: &[u8]) -> Option<String> {
    let mut said = None;
    for (kind, _, payload) in split(answer) {
        let code = |at: usize| payload.get(at + 3).map_or("?", |code| error(*code));
        match kind {
            HEADERS => {
                let index = payload.first().and_then(|first| first.checked_sub(0x88));
                let status = index.and_then(|index| STATUSES.get(usize::from(index)));
                return Some(format!("HTTP/2 {}", status.unwrap_or(&"with another status")));
            }
            RST_STREAM => said = Some(format!("HTTP/2 RST_STREAM {}", code(0))),
            GOAWAY => said = said.or(Some(format!("HTTP/2 GOAWAY {}", code(4)))),
            _ => {}
        }
    }
    said.or_else(|| split(answer).next().map(|_| "HTTP/2 settings only".into()))
}

fn error(code: u8) -> &'static str {
    ERRORS.get(usize::from(code)).copied().unwrap_or("?")
}

/// The preface and the frames of a call.
fn wire(request: &Request<Full<Bytes>>, body: &[u8]) -> Vec<Vec<u8>> {
    let uri = request.uri();
    let mut block = Vec::new();
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    put_header(&mut block, ":method", request.method().as_str().as_bytes());
    put_header(&mut block, ":scheme", b"http");
    put_header(&mut block, ":path", uri.path().as_bytes());
    put_header(&mut block, ":authority", authority.as_bytes());
    for (name, value) in request.headers() {
        put_header(&mut block, name.as_str(), value.as_bytes());
    }
    let mut frames = vec![HTTP2_PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])];
    frames.push(frame(HEADERS, END_HEADERS, 1, &block));
    frames.extend(body.chunks(LARGEST).map(|part| frame(DATA, 0, 1, part)));
    frames.push(frame(DATA, END_STREAM, 1, &[]));
    frames
}

/// A literal header, neither indexed nor compressed.
fn put_header(block: &mut Vec<u8>, name: &str, value: &[u8]) {
    block.push(0);
    for text in [name.as_bytes(), value] {
        // Lengths of 127 and more go on in groups of seven bits.
        match u8::try_from(text.len()).ok().filter(|length| *length < 127) {
            Some(length) => block.push(length),
            None => {
                block.push(127);
                let mut rest = text.len() - 127;
                while rest >= 128 {
                    block.push(rest.to_le_bytes()[0] | 128);
                    rest >>= 7;
                }
                block.push(rest.to_le_bytes()[0]);
            }
        }
        block.extend_from_slice(text);
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let start = [length[1], length[2], length[3], kind, flags];
    [&start[..], &stream.to_be_bytes(), payload].concat()
}

/// Changes the header of a frame.
fn break_frame(rng: &mut Rng, frames: &mut [Vec<u8>]) {
    let at = rng.usize(1..frames.len());
    let Some(header) = frames[at].get_mut(..HEADER) else { return };
    match rng.u8(..5) {
        0 => header[..3].copy_from_slice(&rng.u32(..).to_be_bytes()[1..]),
        1 => header[2] = header[2].wrapping_add(rng.u8(1..)),
        2 => header[3] = rng.u8(..14),
        3 => header[4] = rng.u8(..),
        _ => header[5..].copy_from_slice(&rng.u32(..).to_be_bytes()),
    }
}

/// A frame that has no place there: of any type, or one with extreme contents.
fn odd_frame(rng: &mut Rng) -> Vec<u8> {
    let setting = |rng: &mut Rng| {
        let value = *rng.choice(&[0, 1, 0x7fff_ffff, u32::MAX]).unwrap_or(&0);
        [&rng.u16(..10).to_be_bytes()[..], &value.to_be_bytes()].concat()
    };
    match rng.u8(..6) {
        0 => {
            let settings: Vec<_> = (0..rng.usize(1..20)).flat_map(|_| setting(rng)).collect();
            frame(SETTINGS, 0, 0, &settings)
        }
        1 => frame(RST_STREAM, 0, rng.u32(..4), &rng.u32(..16).to_be_bytes()),
        2 => frame(CONTINUATION, rng.u8(..8), rng.u32(..4), &garbage(rng, 0..200)),
        3 => frame(HEADERS, rng.u8(..64), rng.u32(..8), &garbage(rng, 0..200)),
        4 => vec![0; rng.usize(1..HEADER)],
        _ => frame(rng.u8(..), rng.u8(..), rng.u32(..4), &garbage(rng, 0..64)),
    }
}

fn garbage(rng: &mut Rng, length: std::ops::Range<usize>) -> Vec<u8> {
    (0..rng.usize(length)).map(|_| rng.u8(..)).collect()
}

/// Whether the only stream was ended.
fn is_answered(answer: &[u8]) -> bool {
    split(answer).any(|(kind, flags, _)| {
        kind == RST_STREAM || (matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0)
    })
}

/// The whole frames among bytes: type, flags and payload.
fn split(mut bytes: &[u8]) -> impl Iterator<Item = (u8, u8, &[u8])> {
    std::iter::from_fn(move || {
        let header = bytes.get(..HEADER)?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let end = HEADER + usize::try_from(length).ok()?;
        let found = (header[3], header[4], bytes.get(HEADER..end)?);
        bytes = &bytes[end..];
        Some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> (Request<Full<Bytes>>, Vec<u8>) {
        let request = Request::post("http://127.0.0.1:1/a.B/C").header("long", "x".repeat(300));
        (request.body(Full::default()).unwrap(), vec![7; LARGEST + 1])
    }

    #[test]
    fn a_call_is_a_preface_and_whole_frames() {
        let (request, body) = call();
        let frames = wire(&request, &body);
        assert_eq!(frames[0], HTTP2_PREFACE);
        let bytes = frames[1..].concat();
        let kinds: Vec<_> = split(&bytes).map(|(kind, ..)| kind).collect();
        assert_eq!(kinds, [SETTINGS, HEADERS, DATA, DATA, DATA]);
        assert_eq!(split(&bytes).map(|(.., part)| part.len() + HEADER).sum::<usize>(), bytes.len());
    }

    #[test]
    fn damages_follow_the_seed_and_differ() {
        let (request, body) = call();
        let made = |seed| damaged(&mut Rng::with_seed(seed), &request, &body);
        assert_eq!(made(3), made(3));
        let all: std::collections::HashSet<_> = (0..200).map(made).collect();
        assert!(all.len() > 150, "{}", all.len());
    }

    #[test]
    fn answers_are_told_apart() {
        let settings = frame(SETTINGS, 0, 0, &[]);
        let said = |last: Vec<u8>| kind(&[settings.clone(), last].concat()).unwrap();
        assert_eq!(said(frame(HEADERS, END_HEADERS, 1, &[0x88])), "HTTP/2 200");
        assert_eq!(said(frame(HEADERS, END_HEADERS, 1, &[0x8e])), "HTTP/2 500");
        let away = frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(said(away), "HTTP/2 GOAWAY PROTOCOL_ERROR");
        assert_eq!(
            said(frame(RST_STREAM, 0, 1, &[0, 0, 0, 2])),
            "HTTP/2 RST_STREAM INTERNAL_ERROR"
        );
        assert_eq!(said(Vec::new()), "HTTP/2 settings only");
        assert_eq!(kind(b"HTTP/1.1 200 OK"), None);
    }
}
