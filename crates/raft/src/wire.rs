//! The encodings of this crate's rows and of what snapshots say about themselves.
//!
//! Every value begins with a version byte, then follows one Protocol Buffers message. Log ids,
//! votes and memberships are in clear; commands and records are sealed before they come here.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::vote::RaftLeaderId;
use prost::{Message, Oneof};

use crate::member::Member;
use crate::types::{Entry, LeaderId, LogId, Membership, Proposal, StoredMembership, Vote};

const VERSION: u8 = 1;

/// A value with its own encoding.
pub(crate) trait Wire: Sized {
    /// The message that stands for it.
    type Form: Message + Default;

    fn to_form(&self) -> Self::Form;
    fn from_form(form: Self::Form) -> Option<Self>;

    /// The bytes of a row.
    fn encode(&self) -> Vec<u8> {
        let form = self.to_form();
        let mut bytes = Vec::with_capacity(1 + form.encoded_len());
        bytes.push(VERSION);
        // A Vec grows as needed, so encoding into it cannot fail.
        form.encode(&mut bytes).unwrap_or_default();
        bytes
    }

    /// The value in the bytes of a row.
    ///
    /// # Errors
    /// `InvalidData`, naming `what` was being read. Damage is never taken for absence.
    fn decode(bytes: impl Into<Bytes>, what: &str) -> io::Result<Self> {
        let invalid =
            |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("stored {what}: {why}"));
        let mut bytes = bytes.into();
        if bytes.is_empty() {
            return Err(invalid("empty"));
        }
        let version = bytes.split_to(1)[0];
        if version != VERSION {
            return Err(invalid(&format!("unknown encoding version {version}")));
        }
        let form = Self::Form::decode(bytes).map_err(|error| invalid(&error.to_string()))?;
        Self::from_form(form).ok_or_else(|| invalid("a field is missing or out of range"))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct LogIdForm {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(fixed64, tag = "2")]
    node_id: u64,
    #[prost(uint64, tag = "3")]
    index: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct VoteForm {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(fixed64, tag = "2")]
    node_id: u64,
    #[prost(bool, tag = "3")]
    committed: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct NodeForm {
    #[prost(fixed64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    address: String,
    #[prost(string, tag = "3")]
    name: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct VotersForm {
    #[prost(fixed64, repeated, tag = "1")]
    ids: Vec<u64>,
}

/// A membership: one set of voters, or two while it changes, and every node's address.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct MembershipForm {
    #[prost(message, repeated, tag = "1")]
    voters: Vec<VotersForm>,
    #[prost(message, repeated, tag = "2")]
    nodes: Vec<NodeForm>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct StoredMembershipForm {
    #[prost(message, optional, tag = "1")]
    log_id: Option<LogIdForm>,
    #[prost(message, optional, tag = "2")]
    membership: Option<MembershipForm>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct BlankForm {}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct CommandForm {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(bytes = "bytes", tag = "2")]
    sealed: Bytes,
}

#[derive(Clone, PartialEq, Eq, Oneof)]
pub(crate) enum PayloadForm {
    #[prost(message, tag = "2")]
    Blank(BlankForm),
    #[prost(message, tag = "3")]
    Command(CommandForm),
    #[prost(message, tag = "4")]
    Membership(MembershipForm),
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct EntryForm {
    #[prost(message, optional, tag = "1")]
    log_id: Option<LogIdForm>,
    #[prost(oneof = "PayloadForm", tags = "2, 3, 4")]
    payload: Option<PayloadForm>,
}

impl Wire for LogId {
    type Form = LogIdForm;

    fn to_form(&self) -> LogIdForm {
        LogIdForm { term: self.leader_id.term, node_id: self.leader_id.node_id, index: self.index }
    }

    fn from_form(form: LogIdForm) -> Option<Self> {
        Some(Self::new(LeaderId::new(form.term, form.node_id), form.index))
    }
}

impl Wire for Vote {
    type Form = VoteForm;

    fn to_form(&self) -> VoteForm {
        VoteForm {
            term: self.leader_id.term,
            node_id: self.leader_id.node_id,
            committed: self.committed,
        }
    }

    fn from_form(form: VoteForm) -> Option<Self> {
        Some(if form.committed {
            Self::new_committed(form.term, form.node_id)
        } else {
            Self::new(form.term, form.node_id)
        })
    }
}

impl Wire for Membership {
    type Form = MembershipForm;

    fn to_form(&self) -> MembershipForm {
        let voters = self.get_joint_config().iter();
        MembershipForm {
            voters: voters.map(|set| VotersForm { ids: set.iter().copied().collect() }).collect(),
            nodes: self
                .nodes()
                .map(|(id, member)| {
                    let Member { name, address } = member.clone();
                    NodeForm { id: *id, address, name }
                })
                .collect(),
        }
    }

    fn from_form(form: MembershipForm) -> Option<Self> {
        let voters: Vec<BTreeSet<u64>> =
            form.voters.into_iter().map(|set| set.ids.into_iter().collect()).collect();
        let member = |NodeForm { id, address, name }| (id, Member { name, address });
        let nodes: BTreeMap<u64, Member> = form.nodes.into_iter().map(member).collect();
        if voters.is_empty() && nodes.is_empty() {
            return Some(Self::default());
        }
        Self::new(voters, nodes).ok()
    }
}

impl Wire for StoredMembership {
    type Form = StoredMembershipForm;

    fn to_form(&self) -> StoredMembershipForm {
        StoredMembershipForm {
            log_id: self.log_id().as_ref().map(Wire::to_form),
            membership: Some(self.membership().to_form()),
        }
    }

    fn from_form(form: StoredMembershipForm) -> Option<Self> {
        let membership = Membership::from_form(form.membership?)?;
        Some(Self::new(form.log_id.and_then(LogId::from_form), membership))
    }
}

impl Wire for Entry {
    type Form = EntryForm;

    fn to_form(&self) -> EntryForm {
        let payload = match &self.payload {
            EntryPayload::Blank => PayloadForm::Blank(BlankForm {}),
            EntryPayload::Normal(proposal) => PayloadForm::Command(CommandForm {
                id: proposal.id.to_vec(),
                sealed: proposal.sealed.clone(),
            }),
            EntryPayload::Membership(membership) => PayloadForm::Membership(membership.to_form()),
        };
        EntryForm { log_id: Some(self.log_id.to_form()), payload: Some(payload) }
    }

    fn from_form(form: EntryForm) -> Option<Self> {
        let payload = match form.payload? {
            PayloadForm::Blank(BlankForm {}) => EntryPayload::Blank,
            PayloadForm::Command(CommandForm { id, sealed }) => {
                EntryPayload::Normal(Proposal { id: id.try_into().ok()?, sealed })
            }
            PayloadForm::Membership(form) => EntryPayload::Membership(Membership::from_form(form)?),
        };
        Some(Self { log_id: LogId::from_form(form.log_id?)?, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_id() -> LogId {
        LogId::new(LeaderId::new(7, u64::MAX), 12)
    }

    fn member(name: &str, address: &str) -> Member {
        Member { name: name.into(), address: address.into() }
    }

    fn round_trip(entry: &Entry) {
        let decoded = Entry::decode(entry.encode(), "entry").unwrap();
        assert_eq!(&decoded, entry);
    }

    #[test]
    fn entries_survive_the_encoding() {
        let nodes = BTreeMap::from([(1, member("a", "a:1")), (2, member("b", "b:2"))]);
        let voters = vec![BTreeSet::from([1]), BTreeSet::from([1, 2])];
        let membership = Membership::new(voters, nodes).unwrap();
        let proposal = Proposal { id: [3; 16], sealed: Bytes::from_static(b"sealed") };
        for payload in [
            EntryPayload::Blank,
            EntryPayload::Normal(proposal),
            EntryPayload::Membership(membership),
        ] {
            round_trip(&Entry { log_id: log_id(), payload });
        }
    }

    #[test]
    fn votes_and_log_ids_survive_the_encoding() {
        for vote in [Vote::new(1, 2), Vote::new_committed(u64::MAX, 0)] {
            assert_eq!(Vote::decode(vote.encode(), "vote").unwrap(), vote);
        }
        assert_eq!(LogId::decode(log_id().encode(), "log id").unwrap(), log_id());
        let empty = StoredMembership::default();
        assert_eq!(StoredMembership::decode(empty.encode(), "membership").unwrap(), empty);
    }

    #[test]
    fn damage_is_an_error_that_names_the_row() {
        for bytes in [&b""[..], &[9], &[VERSION, 0xff], &[VERSION]] {
            let error = Entry::decode(bytes.to_vec(), "log entry 5").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().contains("log entry 5"), "{error}");
        }
    }
}
