//! The types openraft is instantiated with, and short names for what follows from them.

use std::fmt;

use bytes::Bytes;
use keystead_state::Outcome;
use openraft::type_config::alias;
use prost::Message;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(not(feature = "testkit"))]
type Runtime = openraft::impls::TokioRuntime;
#[cfg(feature = "testkit")]
type Runtime = crate::runtime::Seedable;

openraft::declare_raft_types!(
    /// What this crate puts into openraft.
    pub TypeConfig:
        D = Proposal,
        R = Reply,
        NodeId = u64,
        Node = crate::member::Member,
        AsyncRuntime = Runtime,
);

/// A log id: the leader's term and node, and the index.
pub type LogId = alias::LogIdOf<TypeConfig>;
/// Who leads, or wants to, in which term.
pub type Vote = alias::VoteOf<TypeConfig>;
/// A log entry.
pub type Entry = alias::EntryOf<TypeConfig>;
/// Who is a member.
pub type Membership = openraft::Membership<u64, crate::member::Member>;
/// A membership and the log id that set it.
pub type StoredMembership = alias::StoredMembershipOf<TypeConfig>;
/// What a snapshot covers.
pub type SnapshotMeta = alias::SnapshotMetaOf<TypeConfig>;
/// A snapshot: what it covers, and a handle to its bytes.
pub type Snapshot<Data> = alias::SnapshotOf<TypeConfig, Data>;

/// A request of replication that brought no answer.
pub type RpcError = openraft::errors::RPCError<TypeConfig>;
/// A snapshot that was not sent to the end.
pub type StreamingError = openraft::errors::StreamingError<TypeConfig>;
/// Says that replication to a node has ended.
pub type ReplicationClosed = openraft::errors::ReplicationClosed;
/// Log entries for a follower or, empty, a heartbeat.
pub type AppendRequest = openraft::raft::AppendEntriesRequest<TypeConfig>;
/// What the follower says to it.
pub type AppendResponse = openraft::raft::AppendEntriesResponse<TypeConfig>;
/// What the follower says to one request of a pipeline.
pub type StreamAppended = openraft::raft::StreamAppendResult<TypeConfig>;
/// Asks for a vote.
pub type VoteRequest = openraft::raft::VoteRequest<TypeConfig>;
/// Grants it or does not.
pub type VoteResponse = openraft::raft::VoteResponse<TypeConfig>;
/// What the receiver of a snapshot says to it.
pub type SnapshotResponse = openraft::raft::SnapshotResponse<TypeConfig>;
/// Asks a node to take the leadership over.
pub type TransferRequest = openraft::raft::TransferLeaderRequest<TypeConfig>;
/// What that node says to it.
pub type TransferResponse = openraft::raft::TransferLeaderResponse<TypeConfig>;

pub(crate) type LeaderId = alias::LeaderIdOf<TypeConfig>;
pub(crate) type IoFlushed = openraft::storage::IOFlushed<TypeConfig>;

/// A command as it stands in the log: sealed once by the proposer, then only copied.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Random; the sealed bytes are bound to it.
    pub id: [u8; 16],
    /// The encrypted command.
    pub sealed: Bytes,
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposal({} bytes)", self.sealed.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What applying an entry gave; nothing for entries that carry no command.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reply(pub Option<Outcome>);

impl Serialize for Reply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().map(Outcome::encode_to_vec).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Reply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Option::<Vec<u8>>::deserialize(deserializer)?;
        let outcome = bytes.map(|bytes| Outcome::decode(&bytes[..])).transpose();
        outcome.map(Self).map_err(serde::de::Error::custom)
    }
}
