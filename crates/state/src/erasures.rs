//! Which keys lost material, and up to where each node has taken it off its disk.
//!
//! The state forgets material at once. A node's log, snapshot and table files do not: they go on
//! holding the wrapped bytes until the node rewrites them. It tells when it has, so that everybody
//! can say when the last copy was gone.

use std::ops::Bound;

use keystead_types::{AccountId, KeyId, NodeId, UnixMillis};
use rpds::{HashTrieMapSync, RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::model::{Key, Material};
use crate::proto;

/// A key that lost material: it was deleted, or some that was imported was deleted or expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostMaterial {
    /// The key.
    pub key: KeyId,
    /// The account that owned it.
    pub account: AccountId,
    /// Log index of the entry that took the last of it.
    pub index: u64,
    /// When that was.
    pub at: UnixMillis,
}

/// What a node told: nothing that was lost up to a log index is on its disk any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Erased {
    pub(crate) node: NodeId,
    pub(crate) through: u64,
    pub(crate) at: UnixMillis,
}

/// The keys that lost material within the last year, and what nodes told of erasing it.
#[derive(Debug, Clone, Default)]
pub struct Erasures {
    lost: HashTrieMapSync<KeyId, LostMaterial>,
    by_index: RedBlackTreeSetSync<(u64, KeyId)>,
    erased: RedBlackTreeMapSync<(NodeId, u64), UnixMillis>,
}

impl Erasures {
    /// What a key lost last.
    pub fn of(&self, key: &KeyId) -> Option<&LostMaterial> {
        self.lost.get(key)
    }

    /// What was lost after a log index, the earliest first.
    pub fn after(&self, index: u64) -> impl Iterator<Item = &LostMaterial> {
        let start = index.saturating_add(1);
        let range = (Bound::Included((start, KeyId::new([0; 16], false))), Bound::Unbounded);
        self.by_index.range(range).filter_map(|(_, key)| self.lost.get(key))
    }

    /// Log index at which something was lost last; 0 if nothing was.
    pub fn latest(&self) -> u64 {
        self.by_index.last().map_or(0, |(index, _)| *index)
    }

    /// Log index up to which a node told that it has erased everything; 0 if it has not yet.
    pub fn erased_through(&self, node: NodeId) -> u64 {
        let all = (node, 0)..=(node, u64::MAX);
        self.erased.range(all).next_back().map_or(0, |((_, through), _)| *through)
    }

    /// When a node told that what was lost at a log index is not on its disk any more.
    pub fn erased_at(&self, node: NodeId, index: u64) -> Option<UnixMillis> {
        let since = (node, index)..=(node, u64::MAX);
        self.erased.range(since).next().map(|(_, at)| *at)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &LostMaterial> {
        self.lost.values()
    }

    pub(crate) fn told(&self) -> impl Iterator<Item = Erased> {
        self.erased.iter().map(|((node, through), at)| Erased {
            node: *node,
            through: *through,
            at: *at,
        })
    }

    pub(crate) fn row_count(&self) -> usize {
        self.lost.size() + self.erased.size()
    }

    pub(crate) fn put(&mut self, lost: LostMaterial) {
        self.forget(&lost.key);
        self.by_index.insert_mut((lost.index, lost.key));
        self.lost.insert_mut(lost.key, lost);
    }

    pub(crate) fn forget(&mut self, key: &KeyId) {
        if let Some(lost) = self.lost.get(key).copied() {
            self.by_index.remove_mut(&(lost.index, lost.key));
            self.lost.remove_mut(key);
        }
    }

    pub(crate) fn put_erased(&mut self, erased: Erased) {
        self.erased.insert_mut((erased.node, erased.through), erased.at);
    }

    pub(crate) fn forget_erased(&mut self, erased: Erased) {
        self.erased.remove_mut(&(erased.node, erased.through));
    }
}

/// Whether a change of a key, or its removal, takes material away for which nothing stands in.
pub(crate) fn loses_material(old: &Key, new: Option<&Key>) -> bool {
    let new = new.map_or(&[][..], |key| &key.materials);
    let stays = |gone: &Material| new.iter().any(|one| one.id == gone.id && one.is_present());
    old.materials.iter().any(|material| material.is_present() && !stays(material))
}

impl LostMaterial {
    pub(crate) fn record(&self) -> proto::LostMaterialRecord {
        proto::LostMaterialRecord {
            key_id: self.key.bytes().to_vec(),
            key_multi_region: self.key.multi_region(),
            account: self.account.number(),
            index: self.index,
            at_ms: self.at.0,
        }
    }

    pub(crate) fn from_record(record: &proto::LostMaterialRecord) -> Option<Self> {
        let key = record.key_id.as_slice().try_into().ok()?;
        Some(Self {
            key: KeyId::new(key, record.key_multi_region),
            account: AccountId::from_number(record.account)?,
            index: record.index,
            at: UnixMillis(record.at_ms),
        })
    }
}

impl Erased {
    pub(crate) fn record(self) -> proto::ErasedRecord {
        proto::ErasedRecord { node_id: self.node.0, through: self.through, at_ms: self.at.0 }
    }

    pub(crate) fn from_record(record: &proto::ErasedRecord) -> Self {
        let (node, at) = (NodeId(record.node_id), UnixMillis(record.at_ms));
        Self { node, through: record.through, at }
    }
}
