//! `X-Forwarded-For`: whom each proxy saw, appended on the right.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

const HEADER: &str = "x-forwarded-for";

/// The last address of the chain that is not a trusted proxy's. What stands left of it was written
/// by whoever is there. Where all are trusted, it is the first; where a trusted proxy wrote what is
/// no address, it is that proxy.
pub(super) fn source(
    connected: IpAddr,
    headers: &HeaderMap,
    trusts: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let lines = headers.get_all(HEADER).iter().rev();
    let mut entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let mut source = connected;
    while trusts(source) {
        match entries.next().map(address) {
            Some(Some(address)) => source = address,
            Some(None) | None => break,
        }
    }
    source
}

/// An address, as proxies write them: bare, in brackets, or with a port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|address: SocketAddr| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The source of a request from a proxy of 10.0.0.0/8.
    fn source(lines: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(HEADER, http::HeaderValue::from_static(line));
        }
        let trusted: keystead_types::Network = "10.0.0.0/8".parse().unwrap();
        let peer = "10.0.0.1".parse().unwrap();
        super::source(peer, &headers, |address| trusted.contains(address)).to_string()
    }

    #[test]
    fn the_last_untrusted_address_is_the_source() {
        for (lines, expected) in [
            (&[][..], "10.0.0.1"),
            (&["203.0.113.7"], "203.0.113.7"),
            (&["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
            (&["203.0.113.7, 10.0.0.9"], "203.0.113.7"),
            (&["198.51.100.1", "203.0.113.7,10.0.0.9"], "203.0.113.7"),
            (&["203.0.113.7", "10.0.0.9"], "203.0.113.7"),
            (&["10.0.0.8 , 10.0.0.9"], "10.0.0.8"),
            (&["203.0.113.7:4711"], "203.0.113.7"),
            (&["[2001:db8::7]:4711, 10.0.0.9:80"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["::ffff:203.0.113.7"], "203.0.113.7"),
            (&["203.0.113.7, ::ffff:10.0.0.9"], "203.0.113.7"),
        ] {
            assert_eq!(source(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_address_ends_the_chain_at_the_proxy_that_wrote_it() {
        for lines in [
            &["unknown"][..],
            &[""],
            &["203.0.113.7,"],
            &["203.0.113.7, unknown"],
            &["203.0.113.7", "_hidden"],
            &["203.0.113.7 198.51.100.1"],
        ] {
            assert_eq!(source(lines), "10.0.0.1", "{lines:?}");
        }
        assert_eq!(source(&["203.0.113.7, secret, 10.0.0.9"]), "10.0.0.9");
    }
}
