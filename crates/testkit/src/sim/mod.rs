//! A whole region in one thread: real nodes of `keystead-raft` on a simulated network, disk and
//! clock, with clients, and with faults that follow from a seed.
//!
//! ```text
//! plan (seed) ─► faults ─► hosts (disk, clock, node) ◄─► network ◄─► clients
//!                                     │                                 │
//!                                     └──────────► ledger ◄─────────────┘
//! ```
//!
//! Time is tokio's, paused: it passes only when nobody has anything to do. What happens follows
//! from the seed, except for the order in which tasks run that wait for the same
//! `tokio::sync::watch`: tokio shuffles them, and can be told the seed only by a compiler flag for
//! everything. So no decision of the simulation depends on that order, and nearly every seed gives
//! the same trace each time.

mod clients;
mod clock;
mod commands;
mod disk;
mod faults;
mod host;
mod ledger;
mod network;
mod plan;
mod run;
mod transport;
mod world;

pub use run::{Report, run};

/// A seed of its own for something that is named by numbers.
fn mix(seed: u64, name: &[u64]) -> u64 {
    name.iter().fold(seed, |mixed, number| {
        // SplitMix64.
        let mixed = (mixed ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}
