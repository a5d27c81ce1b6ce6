//! The end of the log in memory, so that in steady state nobody reads it from disk.

use std::collections::VecDeque;

use openraft::EntryPayload;

use crate::types::Entry;

/// How much of the log is kept in memory.
const MAX_BYTES: usize = 32 << 20;
/// What an entry costs besides its payload.
const ENTRY_OVERHEAD: usize = 128;

/// Consecutive entries up to the end of the log.
#[derive(Debug)]
pub(super) struct Cache {
    entries: VecDeque<Entry>,
    // Index that follows the last entry, also when there are none.
    next: u64,
    bytes: usize,
}

impl Cache {
    /// An empty cache of a log that continues at `next`.
    pub(super) fn new(next: u64) -> Self {
        Self { entries: VecDeque::new(), next, bytes: 0 }
    }

    /// Index of the first entry in memory; the next one, if there are none.
    pub(super) fn first(&self) -> u64 {
        self.next - self.entries.len() as u64
    }

    /// The entries from `start`, which must not come before [`Cache::first`], on.
    pub(super) fn from(&self, start: u64) -> impl Iterator<Item = &Entry> {
        let skip = usize::try_from(start.saturating_sub(self.first())).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip)
    }

    pub(super) fn append(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.bytes += entry_bytes(&entry);
            self.next = entry.log_id.index.saturating_add(1);
            self.entries.push_back(entry);
        }
        while self.bytes > MAX_BYTES {
            self.pop_front();
        }
    }

    /// Forgets the entries from `next` on.
    pub(super) fn truncate(&mut self, next: u64) {
        while let Some(entry) = self.entries.pop_back_if(|entry| entry.log_id.index >= next) {
            self.bytes -= entry_bytes(&entry);
        }
        self.next = self.next.min(next);
    }

    /// Forgets the entries up to `upto`, which may lie beyond the end.
    pub(super) fn purge(&mut self, upto: u64) {
        while self.entries.front().is_some_and(|entry| entry.log_id.index <= upto) {
            self.pop_front();
        }
        self.next = self.next.max(upto.saturating_add(1));
    }

    fn pop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry_bytes(&entry);
        }
    }
}

/// About what an entry takes in memory and on the wire.
pub(super) fn entry_bytes(entry: &Entry) -> usize {
    let payload = match &entry.payload {
        EntryPayload::Normal(proposal) => proposal.sealed.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    };
    ENTRY_OVERHEAD + payload
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use openraft::vote::RaftLeaderId;

    use super::*;
    use crate::types::{LeaderId, LogId, Proposal};

    fn entry(index: u64, bytes: usize) -> Entry {
        let proposal = Proposal { id: [0; 16], sealed: Bytes::from(vec![0; bytes]) };
        let log_id = LogId::new(LeaderId::new(1, 1), index);
        Entry { log_id, payload: EntryPayload::Normal(proposal) }
    }

    fn indexes(cache: &Cache, start: u64) -> Vec<u64> {
        cache.from(start).map(|entry| entry.log_id.index).collect()
    }

    #[test]
    fn keeps_the_end_of_the_log_within_its_bound() {
        let mut cache = Cache::new(0);
        for index in 0..40 {
            cache.append(vec![entry(index, 1 << 20)]);
        }
        assert!(cache.bytes <= MAX_BYTES);
        assert_eq!(indexes(&cache, cache.first()).last(), Some(&39));
        assert!(cache.first() > 0);
    }

    #[test]
    fn follows_truncation_and_purge() {
        let mut cache = Cache::new(5);
        cache.append((5..10).map(|index| entry(index, 1)).collect());
        cache.truncate(8);
        assert_eq!(indexes(&cache, 6), [6, 7]);
        cache.purge(6);
        assert_eq!((cache.first(), indexes(&cache, 7)), (7, vec![7]));
        cache.purge(100);
        assert_eq!((cache.first(), cache.bytes), (101, 0));
        cache.append(vec![entry(101, 1)]);
        assert_eq!(indexes(&cache, 101), [101]);
    }
}
