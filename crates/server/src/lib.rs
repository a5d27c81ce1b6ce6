//! The server: listeners, the request pipeline, the operations.
//!
//! A [`Front`] takes requests of all wires and hands each to the pipeline of one
//! [`RegionServer`]. Nothing here is process-wide: a Region is a value.
#![forbid(unsafe_code)]

mod access_key;
pub mod admin;
mod audit;
mod authenticate;
mod authorise;
pub mod boot;
mod call;
mod client_certificate;
mod clock;
pub mod cluster;
mod conditions;
mod convert;
pub mod declared;
mod due;
mod erasure;
mod explain;
mod front;
mod grant_token;
mod iam;
mod import_token;
mod managed_keys;
pub mod metrics;
mod naming;
mod oidc;
mod operations;
mod operations_port;
mod pipeline;
mod propose;
mod question;
mod quotas;
mod readiness;
mod region;
pub mod regions;
mod resolve;
mod rotation;
mod sessions;
pub mod sigv4;
mod slow_work;
mod sts;
mod target;
mod throttle;
pub mod tls;
mod uses;
mod workloads;

/// What a process needs that holds secrets.
pub mod process {
    pub use keystead_crypto::allocator::ZeroingAllocator;
    pub use keystead_crypto::memory::harden_process;
    pub use keystead_crypto::random;
    pub use keystead_crypto::seal::{FileSeal, MemorySeal, Seal};
}

pub use audit::AuditTrail;
pub use client_certificate::ClientAuthority;
pub use front::{Front, FrontOptions, Listener, ListenerError, ProxyOptions};
pub use keystead_policy::MAX_KEY_POLICY_BYTES;
pub use keystead_raft::peer;
pub use keystead_raft::{Member, MinFree, Reads, Status};
pub use keystead_state::Quotas as ResourceQuotas;
pub use oidc::{IssuerConfig, IssuerConfigError, Issuers, KeySource, secure_url};
pub use operations_port::OperationsPort;
pub use quotas::Quotas;
pub use readiness::Readiness;
pub use region::RegionServer;
pub use throttle::{Class, Rates, RequestQuotas};
pub use workloads::{InvalidSpiffeId, SpiffeId, Workload};
