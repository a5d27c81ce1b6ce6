//! The PROXY protocol, version 2: a binary header before everything else on a connection.
//! Source: HAProxy, "The PROXY protocol, versions 1 & 2", section 2.2.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What every header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family and transport, and the length of what follows.
const FIXED: usize = 16;
/// The most that may follow; what proxies add to addresses is a few hundred bytes.
const MOST: usize = 4096;
const VERSION: u8 = 2;
/// Commands: a connection of the proxy's own, such as a health check, or one for a client.
const LOCAL: u8 = 0;
const PROXY: u8 = 1;
/// TCP over IPv4 and over IPv6.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// Reads a header, and no byte more: the address of the client, or none if the connection is for
/// none that has an address.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut fixed = [0; FIXED];
    stream.read_exact(&mut fixed).await?;
    let [rest @ .., command, family, high, low] = fixed;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if rest != SIGNATURE || command >> 4 != VERSION || command & 0xF > PROXY || len > MOST {
        return Err(malformed());
    }
    let mut addresses = vec![0; len];
    stream.read_exact(&mut addresses).await?;
    match (command & 0xF, family) {
        (LOCAL, _) => Ok(None),
        (_, TCP4) => first(&addresses, 12).map(|bytes| Some(Ipv4Addr::from_octets(bytes).into())),
        (_, TCP6) => first(&addresses, 36)
            .map(|bytes| Some(IpAddr::from(Ipv6Addr::from_octets(bytes)).to_canonical())),
        _ => Ok(None),
    }
}

/// The source address, which stands before the destination and both ports: `all` bytes together.
fn first<const N: usize>(addresses: &[u8], all: usize) -> io::Result<[u8; N]> {
    let whole = addresses.get(..all).ok_or_else(malformed)?;
    whole.first_chunk().copied().ok_or_else(malformed)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is no header of the PROXY protocol, version 2")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let len = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, addresses].concat()
    }

    async fn read_all(bytes: &[u8]) -> (io::Result<Option<IpAddr>>, usize) {
        let mut left = bytes;
        let read = read(&mut left).await;
        (read, left.len())
    }

    #[tokio::test]
    async fn the_client_of_a_header_is_read_and_nothing_after_it() {
        let v4 = [203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x67, 0x24, 0xFE];
        let v6: Vec<u8> = [&[0x20, 1, 0x0D, 0xB8][..], &[0; 11], &[7], &[0; 20]].concat();
        let mapped: Vec<u8> = [&[0; 10][..], &[255, 255, 203, 0, 113, 7], &[0; 20]].concat();
        let longer = [&v4[..], &[4, 0, 1, 0]].concat();
        for (header, expected) in [
            (header(0x21, TCP4, &v4), Some("203.0.113.7")),
            (header(0x21, TCP4, &longer), Some("203.0.113.7")),
            (header(0x21, TCP6, &v6), Some("2001:db8::7")),
            (header(0x21, TCP6, &mapped), Some("203.0.113.7")),
            (header(0x20, TCP4, &v4), None),
            (header(0x20, 0, &[]), None),
            (header(0x21, 0, &[]), None),
            (header(0x21, 0x31, &[b'/'; 216]), None),
        ] {
            let (read, left) = read_all(&[&header[..], b"POST"].concat()).await;
            assert_eq!(read.unwrap(), expected.map(|text| text.parse().unwrap()), "{header:?}");
            assert_eq!(left, 4);
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let good = header(0x21, TCP4, &[203, 0, 113, 7, 10, 0, 0, 1, 0, 1, 0, 2]);
        for len in 0..good.len() {
            assert!(read_all(&good[..len]).await.0.is_err(), "cut at {len}");
        }
        for at in 0..SIGNATURE.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(read_all(&bad).await.0.is_err(), "{at}");
        }
        for bad in [
            header(0x11, TCP4, &[0; 12]),
            header(0x31, TCP4, &[0; 12]),
            header(0x22, TCP4, &[0; 12]),
            header(0x21, TCP4, &[0; 11]),
            header(0x21, TCP6, &[0; 35]),
            header(0x21, TCP4, &vec![0; MOST + 1]),
            b"PROXY TCP4 203.0.113.7 10.0.0.1 1 2\r\nPOST / HTTP/1.1\r\n".to_vec(),
        ] {
            assert!(read_all(&bad).await.0.is_err(), "{bad:?}");
        }
    }
}
