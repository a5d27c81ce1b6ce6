//! The proxies before a node.

use anyhow::{Context, Result, ensure};
use keystead_server::ProxyOptions;

use super::read::Reader;

/// The proxies that are trusted; none unless set.
pub fn proxies(read: &Reader) -> Result<ProxyOptions> {
    let trusted = read.texts("proxies", "trusted")?;
    let trusted = trusted.iter().map(|text| {
        text.parse().with_context(|| format!("proxies.trusted: {text:?} is no address or range"))
    });
    let options = ProxyOptions {
        trusted: trusted.collect::<Result<_>>()?,
        protocol: read.flag("proxies", "protocol")?,
        forwarded: read.flag("proxies", "forwarded")?,
    };
    let told = options.protocol || options.forwarded;
    ensure!(
        told || options.trusted.is_empty(),
        "proxies.trusted means something with proxies.protocol or proxies.forwarded = true"
    );
    ensure!(
        !told || !options.trusted.is_empty(),
        "[proxies] needs proxies.trusted: the word of others is not taken, e.g. [\"10.0.0.0/8\"]"
    );
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn parse(more: &str) -> Result<ProxyOptions> {
        let minimal = "region = \"eu-central-1\"\ndata_dir = \"d\"\n[seal]\npath = \"s\"\n\
                       [audit]\npath = \"a\"\n";
        Ok(Config::parse(&format!("{minimal}{more}"), |_| None)?.proxies)
    }

    #[test]
    fn proxies_are_trusted_by_address_and_for_something() {
        assert_eq!(parse("").unwrap(), ProxyOptions::default());
        let some = "[proxies]\ntrusted = [\"10.0.0.0/8\", \"2001:db8::1\"]";
        let proxies = parse(&format!("{some}\nprotocol = true")).unwrap();
        assert_eq!((proxies.trusted.len(), proxies.protocol, proxies.forwarded), (2, true, false));
        for (bad, told) in [
            (some, "proxies.forwarded = true"),
            ("[proxies]\nforwarded = true", "needs proxies.trusted"),
            ("[proxies]\ntrusted = [\"10.0.0.0/33\"]\nforwarded = true", "10.0.0.0/33"),
            ("[proxies]\nprotocoll = true", "\"proxies.protocol\""),
        ] {
            let error = format!("{:#}", parse(bad).unwrap_err());
            assert!(error.contains(told), "{error}");
        }
    }
}
