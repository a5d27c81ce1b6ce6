//! The replicated state machine of a region.
//!
//! A [`View`] is one version of the state; a clone of it is cheap, and never changes. [`apply`]
//! moves a View by a [`Command`] and gives the rows that changed and the [`Outcome`]. It is
//! deterministic: no clock, no randomness, no I/O. All that the state does not determine comes
//! inside the command.
//!
//! ```text
//! Command ──► apply ──► Applied { outcome, changes }
//!               ▲                            │
//!               └──► View                    └──► rows on disk (encrypted by `raft`)
//! ```
#![forbid(unsafe_code)]

mod apply;
mod model;
mod own;
mod records;
mod requests;
mod rows;
mod transition;
mod view;

/// Commands, outcomes and stored records, generated from `proto/keystead/state/v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/keystead.state.v1.rs"));
}

pub use apply::{Applied, CLUSTER_VERSION, UnknownCommand, apply};
pub use model::{
    Account, Alias, Credential, DomainKey, Grant, GrantConstraints, GrantPrincipal, Key, Material,
    MaterialState, MultiRegion, Policy, SealedRoot,
};
pub use own::{NamedPolicy, OwnPolicies};
pub use proto::{Command, Outcome};
pub use records::CorruptRecord;
pub use rows::{ROW_KEYS, RowChange};
pub use view::View;

/// Limits that only the state can enforce.
pub mod limits {
    /// Aliases that one key may have.
    pub const ALIASES_PER_KEY: usize = 50;
    /// Grants that one key may have.
    pub const GRANTS_PER_KEY: usize = 50_000;
    /// Tags that one key may have.
    pub const TAGS_PER_KEY: usize = 50;
    /// How long the first result of a request is kept, in milliseconds.
    pub const REQUEST_MEMORY_MS: u64 = 10 * 60 * 1000;
    /// How many results are kept at most.
    pub const REQUEST_MEMORY_COUNT: usize = 200_000;
}
