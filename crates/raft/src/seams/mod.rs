//! The four seams between this crate and the world: time, randomness, peers and the disk.
//!
//! Everything else in the crate is written against them, so that a simulation can stand in.

mod clock;
mod entropy;
mod store;
mod transport;

pub use clock::{Clock, SystemClock};
pub use entropy::{Entropy, EntropyError, SystemEntropy};
pub use store::{Batch, Column, KeyRange, Operation, Order, Row, Store, Synced};
pub use transport::{
    AppendRequest, AppendResponse, Appended, Appends, Cancel, Confirmation, Link, NoAnswer,
    NoPeers, Peer, PeerSnapshot, Pipeline, ReplicationClosed, RpcError, SnapshotResponse,
    StreamAppended, StreamingError, TransferRequest, TransferResponse, Transport, Vote,
    VoteRequest, VoteResponse,
};
