//! Requests damaged on the wire, sent over connections of their own.

pub mod frames;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use fastrand::Rng;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TIMEOUT: Duration = Duration::from_secs(30);
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const LINES: &[&[u8]] = &[
    b"content-length: 5\r\n",
    b"content-length: -1\r\n",
    b"content-length: 99999999999999999999\r\n",
    b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: gzip, chunked\r\n",
    b"content-encoding: gzip\r\n",
    b"expect: 100-continue\r\n",
    b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\n",
    b"host: elsewhere\r\n",
    b"x-amz-date: never\r\n",
    b"x-amz-target: TrentService.\xff\r\n",
    b"authorization: AWS4-HMAC-SHA256\r\n",
    b"authorization: AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=;;, Signature=\r\n",
    b"no colon\r\n",
    b" folded\r\n",
    b": empty\r\n",
    b"a\0b: c\r\n",
];

/// The bytes of a request as HTTP/1.1 sends it.
pub fn wire(request: &Request<http_body_util::Full<Bytes>>, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).into_bytes();
    for (name, value) in request.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Damages a request in one of many ways.
pub fn damage(rng: &mut Rng, request: &mut Vec<u8>) {
    let at = rng.usize(..request.len());
    let until = (at + rng.usize(1..64)).min(request.len());
    match rng.u8(..11) {
        0 | 1 => {
            for _ in 0..rng.u8(1..8) {
                let at = rng.usize(..request.len());
                request[at] ^= 1 << rng.u8(..8);
            }
        }
        2 => request.truncate(at),
        3 => drop(request.drain(at..until)),
        4 => {
            let part = request[at..until].repeat(rng.usize(1..20));
            request.splice(at..at, part);
        }
        5 => {
            let garbage: Vec<u8> = (0..rng.usize(1..200)).map(|_| rng.u8(..)).collect();
            request.splice(at..at, garbage);
        }
        6 => insert_line(rng, request),
        7 => {
            let many = b"x-a: b\r\n".repeat(rng.usize(90..3000));
            insert_after_first_line(request, &many);
        }
        8 => {
            let long = [b"x-long: ", &vec![b'a'; rng.usize(1000..200_000)][..], b"\r\n"].concat();
            insert_after_first_line(request, &long);
        }
        9 => {
            let frames = (0..rng.usize(1..400)).map(|_| rng.u8(..));
            *request = HTTP2_PREFACE.iter().copied().chain(frames).collect();
        }
        _ => *request = (0..rng.usize(1..2000)).map(|_| rng.u8(..)).collect(),
    }
}

/// Sends bytes, says that there are no more, and returns all that comes back.
///
/// # Errors
/// Nobody listens, or the connection was still open half a minute later.
pub async fn send(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    within_time(async {
        let mut stream = TcpStream::connect(address).await?;
        let mut answer = Vec::new();
        // A server that has seen enough stops reading: then neither the rest of the request nor
        // all of the reply need get through.
        if stream.write_all(bytes).await.is_ok() && stream.shutdown().await.is_ok() {
            let _ = stream.read_to_end(&mut answer).await;
        }
        Ok(answer)
    })
    .await
}

/// What came back, in a few words: AWS's code, `OK`, a status, or how the connection ended.
pub fn kind(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let code = text.split("\"__type\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
    match (code, status) {
        (Some(code), _) => code.to_owned(),
        (None, Some("200")) => "OK".to_owned(),
        (None, Some(status)) => format!("HTTP {status}"),
        (None, None) if answer.is_empty() => "closed".to_owned(),
        (None, None) => frames::kind(answer).unwrap_or_else(|| "HTTP/2, cut off".to_owned()),
    }
}

async fn within_time(exchange: impl Future<Output = Result<Vec<u8>>>) -> Result<Vec<u8>> {
    match tokio::time::timeout(TIMEOUT, exchange).await {
        Ok(answer) => answer,
        Err(_) => bail!("a damaged request kept its connection open for {TIMEOUT:?}"),
    }
}

fn insert_line(rng: &mut Rng, request: &mut Vec<u8>) {
    let line = rng.choice(LINES).copied().unwrap_or_default();
    insert_after_first_line(request, line);
}

fn insert_after_first_line(request: &mut Vec<u8>, text: &[u8]) {
    let end = request.iter().position(|byte| *byte == b'\n').map_or(0, |found| found + 1);
    request.splice(end..end, text.iter().copied());
}
