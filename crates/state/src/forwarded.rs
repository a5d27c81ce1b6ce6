//! The calls by which services were given credentials to act for users, kept in mind while such a
//! call would still be taken: each counts once.

use keystead_types::UnixMillis;
use rpds::RedBlackTreeSetSync;

use crate::proto;

/// A call of a service that forwarded a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Forwarding {
    pub(crate) signed: UnixMillis,
    /// Of the service's signature.
    pub(crate) digest: [u8; 32],
}

/// All that are kept in mind, in order of the time that they were signed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forwardings(RedBlackTreeSetSync<Forwarding>);

impl Forwardings {
    pub(crate) fn contains(&self, forwarding: &Forwarding) -> bool {
        self.0.contains(forwarding)
    }

    /// The one that was signed first.
    pub(crate) fn first(&self) -> Option<Forwarding> {
        self.0.first().copied()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Forwarding> {
        self.0.iter().copied()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.size()
    }

    pub(crate) fn put(&mut self, forwarding: Forwarding) {
        self.0.insert_mut(forwarding);
    }

    pub(crate) fn forget(&mut self, forwarding: Forwarding) {
        self.0.remove_mut(&forwarding);
    }
}

impl Forwarding {
    pub(crate) fn record(self) -> proto::ForwardedRecord {
        proto::ForwardedRecord { digest: self.digest.to_vec(), signed_ms: self.signed.0 }
    }

    pub(crate) fn from_record(record: &proto::ForwardedRecord) -> Option<Self> {
        let digest = record.digest.as_slice().try_into().ok()?;
        Some(Self { signed: UnixMillis(record.signed_ms), digest })
    }
}
