//! Consensus and storage: openraft on one RocksDB, snapshots, and the read barrier.
//!
//! ```text
//! propose ─► sealed Command ─► openraft ─► log (one flusher) ─► committed ─► machine ─► View
//! barrier ─► read index ◄── leader                                             │
//!    └────────────────────► waits until the View includes it ◄─────────────────┘
//! ```
//!
//! No other crate names openraft or RocksDB. A [`Node`] is made of parts behind the seams in
//! [`seams`]: time, randomness, peers, and the disk.
#![forbid(unsafe_code)]

mod background;
mod barrier;
mod blocking;
mod codec;
mod disk;
mod erase;
mod failpoint;
mod format;
mod health;
mod inbox;
mod log;
mod machine;
mod member;
mod membership;
mod network;
mod node;
mod node_core;
mod options;
pub mod peer;
mod peers;
mod propose;
mod rounds;
#[cfg(feature = "testkit")]
mod runtime;
pub mod seams;
mod status;
#[cfg(test)]
mod storage_suite;
mod store;
mod time;
#[cfg(test)]
mod traps;
mod types;
mod versions;
mod wire;

pub use barrier::{NotLeading, Unavailable};
pub use disk::{DiskGuard, MinFree, Space};
pub use erase::EraseError;
#[cfg(feature = "failpoints")]
pub use failpoint::CRASH_POINTS;
pub use format::{FORMAT_VERSION, Format, FormatError};
pub use inbox::Inbox;
pub use machine::{SnapshotData, SnapshotStore};
pub use member::Member;
pub use membership::{Change, ChangeError, Standing};
pub use node::{InitialiseError, Node, StartError};
pub use options::{NodeOptions, Reads, Timings};
pub use propose::ProposeError;
#[cfg(feature = "testkit")]
pub use runtime::{Seedable, seed_elections};
pub use status::{MemberStatus, Role, Status};
#[cfg(feature = "testkit")]
pub use store::SimStore;
pub use store::{MemStore, OpenError, RocksStore};
