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
mod erasures;
mod forwarded;
mod iam;
mod model;
mod own;
mod queries;
mod quotas;
mod records;
mod regions;
mod requests;
mod rows;
mod transition;
mod view;

/// Commands, outcomes and stored records, generated from `proto/keystead/state/v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/keystead.state.v1.rs"));
}

pub use apply::{
    Applied, CLUSTER_VERSION, FIRST_VERSION, FORWARDED_ONCE_VERSION, FORWARDING_VERSION,
    LATE_USES_VERSION, OIDC_VERSION, REGIONS_VERSION, ROLES_VERSION, SESSION_POLICIES_VERSION,
    UnknownCommand, apply, least_version,
};
pub use erasures::{Erasures, LostMaterial};
pub use iam::policy_size;
pub use iam::{
    Group, ManagedPolicy, NamedPolicy, OidcProvider, Permissions, PolicyUse, PolicyVersion, Role,
    User,
};
pub use model::{
    Account, Alias, Credential, DomainKey, Grant, GrantConstraints, GrantPrincipal, Key, KeyUse,
    Material, MaterialRotation, MaterialState, Policy, Rotation, SealedRoot,
};
pub use own::OwnPolicies;
pub use proto::{Command, Outcome};
pub use quotas::Quotas;
pub use records::CorruptRecord;
pub use regions::{
    MultiRegion, RegionIdentity, RegionPeer, RegionStream, Replica, Revision, StreamCursors,
    stream_generation,
};
pub use rows::{ROW_KEYS, RowChange};
pub use view::View;

/// Limits that only the state can enforce.
pub mod limits {
    /// Keys that one account may have, in whatever state.
    pub const KEYS_PER_ACCOUNT: usize = 100_000;
    /// Aliases that one key may have.
    pub const ALIASES_PER_KEY: usize = 50;
    /// Grants that one key may have.
    pub const GRANTS_PER_KEY: usize = 50_000;
    /// How often one key may be rotated on demand.
    pub const ON_DEMAND_ROTATIONS: usize = 25;
    /// Tags that one key may have.
    pub const TAGS_PER_KEY: usize = 50;
    /// Uses of keys that one command tells of at most.
    pub const KEY_USES_AT_ONCE: usize = 2_000;
    /// How much later than the replicated clock a use may be, in milliseconds.
    pub const KEY_USES_AHEAD_MS: u64 = 5 * 60 * 1000;
    /// How long it is told that a key lost material, in milliseconds.
    pub const LOST_MATERIAL_MEMORY_MS: u64 = 366 * 24 * 60 * 60 * 1000;
    /// How long the first result of a request is kept, in milliseconds.
    pub const REQUEST_MEMORY_MS: u64 = 10 * 60 * 1000;
    /// How many results are kept at most.
    pub const REQUEST_MEMORY_COUNT: usize = 200_000;
    /// How long after a service signed a call it may be given credentials by it, in milliseconds:
    /// nodes allow half of it, by clocks that may be wrong.
    pub const FORWARDED_MEMORY_MS: u64 = 10 * 60 * 1000;
    /// How many such calls are kept in mind at most.
    pub const FORWARDED_MEMORY_COUNT: usize = 1_000_000;
    /// Users that one account may have.
    pub const USERS_PER_ACCOUNT: usize = 5_000;
    /// Groups that one account may have.
    pub const GROUPS_PER_ACCOUNT: usize = 300;
    /// Roles that one account may have.
    pub const ROLES_PER_ACCOUNT: usize = 1_000;
    /// OIDC providers that one account may have.
    pub const OIDC_PROVIDERS_PER_ACCOUNT: usize = 100;
    /// Client ids that one OIDC provider may have.
    pub const CLIENT_IDS_PER_PROVIDER: usize = 100;
    /// Managed policies that one account may have.
    pub const POLICIES_PER_ACCOUNT: usize = 1_500;
    /// Groups that one user may be a member of.
    pub const GROUPS_PER_USER: usize = 10;
    /// Managed policies that may be attached to one user, group or role.
    pub const ATTACHED_POLICIES: usize = 10;
    /// Versions that one managed policy may have at a time.
    pub const POLICY_VERSIONS: usize = 5;
    /// Tags that one user, role, managed policy or OIDC provider may have.
    pub const TAGS_PER_ENTITY: usize = 50;
    /// Access keys that one user, or the root of an account, may have.
    pub const ACCESS_KEYS_PER_OWNER: usize = 2;
    /// What the inline policies of a user may be in size together, see
    /// [`policy_size`](crate::policy_size).
    pub const USER_INLINE_SIZE: usize = 2_048;
    /// What the inline policies of a group may be in size together.
    pub const GROUP_INLINE_SIZE: usize = 5_120;
    /// What the inline policies of a role may be in size together.
    pub const ROLE_INLINE_SIZE: usize = 10_240;
    /// How long the sessions of a role may be made to last at most, in seconds.
    pub const ROLE_SESSION_SECONDS: std::ops::RangeInclusive<u32> = 3_600..=43_200;
    /// What a version of a managed policy may be in size; the proposer sees to it.
    pub const MANAGED_POLICY_SIZE: usize = 6_144;
}
