//! Members over the network: gRPC under mutual TLS 1.3.
//!
//! ```text
//! GrpcTransport ─► TLS: the certificate of the node that is meant ─► PeerListener ─► Inbox
//! join::ask     ─► TLS: nobody's certificate counts, both prove the secret ─► JoinHost
//! ```

mod client;
mod convert;
pub mod join;
mod listener;
mod questions;
mod service;
mod tls;

pub use client::GrpcTransport;
pub use listener::PeerListener;
pub use tls::{IdentityError, PeerIdentity, is_member, member_name, node_name};

/// The messages, the servers and the clients, generated from `proto/keystead/peer/v1`.
#[allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic)]
pub(crate) mod proto {
    include!(concat!(env!("OUT_DIR"), "/keystead.peer.v1.rs"));
}

/// Metadata that names the node which a call is meant for.
const TO: &str = "keystead-to";
/// The largest message: a batch of log entries.
const MAX_MESSAGE: usize = 64 << 20;
