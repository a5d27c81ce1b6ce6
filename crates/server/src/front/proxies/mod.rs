//! Where a request comes from, when proxies stand before this node.
//!
//! What a proxy says of its client is believed of listed proxies only: of anybody else it is what a
//! client wrote, and `aws:SourceIp` and the audit trail must not follow that.

mod forwarded;
mod protocol;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use keystead_types::Network;
use tokio::io::AsyncRead;

/// The proxies that are trusted, and how they tell for whom they speak.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxyOptions {
    /// Where they are.
    pub trusted: Vec<Network>,
    /// Each of their connections begins with a header of the PROXY protocol, version 2.
    pub protocol: bool,
    /// Their requests carry `X-Forwarded-For`.
    pub forwarded: bool,
}

/// The same, shared by all connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies(Arc<ProxyOptions>);

impl Proxies {
    pub(crate) fn new(options: ProxyOptions) -> Self {
        Self(Arc::new(options))
    }

    /// Who is behind a connection: its peer or, where that is a proxy which says so first, another.
    ///
    /// # Errors
    /// A trusted proxy's connection does not begin with a well-formed header.
    pub(super) async fn originator(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        peer: IpAddr,
    ) -> io::Result<IpAddr> {
        if !self.0.protocol || !self.trusts(peer) {
            return Ok(peer);
        }
        Ok(protocol::read(stream).await?.unwrap_or(peer))
    }

    /// For whom a request was sent, on a connection from there.
    pub(super) fn source(&self, connected: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.0.forwarded {
            return connected;
        }
        forwarded::source(connected, headers, |address| self.trusts(address))
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.trusted.iter().any(|network| network.contains(address))
    }
}
