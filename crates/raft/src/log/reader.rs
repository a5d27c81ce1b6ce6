//! Reading the log: from memory where possible, else from the store in bounded pieces.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use openraft::RaftLogReader;

use super::cache::entry_bytes;
use super::{Shared, damaged, decode_row, log_key};
use crate::blocking::run_blocking;
use crate::seams::{Column, Order};
use crate::types::{Entry, TypeConfig, Vote};

/// How much one limited read gives: what fits a message to a peer well.
const LIMITED_BYTES: usize = 2 << 20;
/// How many rows are fetched from the store at a time.
const ROWS_PER_SCAN: u64 = 256;

/// A reader of the log. Readers are independent of each other.
#[derive(Clone)]
pub(crate) struct LogReader {
    shared: Arc<Shared>,
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The entries of `[start, end)` that are there; after `max_bytes` no further ones, but
    /// always one if there is one.
    async fn read(&self, start: u64, end: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        self.shared.health.check()?;
        loop {
            let part = Part::take(&self.shared, start, end, max_bytes);
            if part.start == part.from_memory {
                return Ok(part.entries);
            }
            let removals = part.removals;
            let entries = self.complete(part, max_bytes).await;
            // Entries may have been removed or replaced between the two looks: then look again.
            if self.shared.lock().removals == removals {
                return entries;
            }
        }
    }

    async fn complete(&self, part: Part, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let shared = Arc::clone(&self.shared);
        let (start, end) = (part.start, part.from_memory);
        let blocks = self.shared.store.blocks();
        let mut entries =
            run_blocking(blocks, move || read_rows(&shared, start, end, max_bytes)).await?;
        let read = entries.last().map(|entry| entry.log_id.index.saturating_add(1));
        if read == Some(end) {
            let left = max_bytes.saturating_sub(entries.iter().map(entry_bytes).sum());
            take_bytes(&mut entries, part.entries.into_iter(), left);
        }
        Ok(entries)
    }
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        let (start, end) = bounds(&range);
        self.read(start, end, usize::MAX).await
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.shared.health.check()?;
        Ok(self.shared.lock().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, LIMITED_BYTES).await
    }

    /// In pieces: after a restart the range may be most of the log.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + Send
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        let (start, end) = bounds(&range);
        let reader = self.clone();
        let pieces = stream::try_unfold(start, move |at| {
            let reader = reader.clone();
            async move {
                if at >= end {
                    return Ok(None);
                }
                let entries = reader.read(at, end, LIMITED_BYTES).await?;
                let next = entries.last().map(|entry| entry.log_id.index.saturating_add(1));
                Ok::<_, io::Error>(next.map(|next| (stream::iter(entries).map(Ok), next)))
            }
        });
        Box::pin(pieces.try_flatten())
    }
}

/// What a look at the log in memory gave.
struct Part {
    // The range that is there, of what was asked for.
    start: u64,
    // From here on the entries come from memory.
    from_memory: u64,
    entries: Vec<Entry>,
    removals: u64,
}

impl Part {
    fn take(shared: &Shared, start: u64, end: u64, max_bytes: usize) -> Self {
        let state = shared.lock();
        let start = start.max(state.first);
        let end = end.min(state.next_index());
        let from_memory = state.cache.first().clamp(start, end.max(start));
        let mut entries = Vec::new();
        if start < end {
            let count = usize::try_from(end - from_memory).unwrap_or(usize::MAX);
            let cached = state.cache.from(from_memory).take(count).cloned();
            take_bytes(&mut entries, cached, max_bytes);
        }
        Self { start, from_memory, entries, removals: state.removals }
    }
}

/// Moves entries until the budget is spent; the first into an empty list in any case.
fn take_bytes(list: &mut Vec<Entry>, entries: impl Iterator<Item = Entry>, mut budget: usize) {
    for entry in entries {
        let bytes = entry_bytes(&entry);
        if bytes > budget && !list.is_empty() {
            return;
        }
        budget = budget.saturating_sub(bytes);
        list.push(entry);
    }
}

/// # Errors
/// A row is missing, damaged or could not be read.
fn read_rows(shared: &Shared, start: u64, end: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let (mut at, mut bytes) = (start, 0);
    while at < end && bytes < max_bytes {
        let stop = end.min(at.saturating_add(ROWS_PER_SCAN));
        let range =
            (Bound::Included(log_key(at).to_vec()), Bound::Excluded(log_key(stop).to_vec()));
        let limit = usize::try_from(stop - at).unwrap_or(usize::MAX);
        for row in shared.store.scan(Column::RaftLog, range, Order::Ascending, limit)? {
            let entry = decode_row(row)?;
            if entry.log_id.index != at {
                return Err(damaged(format!("entry {at} is missing")));
            }
            bytes = bytes.saturating_add(entry_bytes(&entry));
            if bytes > max_bytes && !entries.is_empty() {
                return Ok(entries);
            }
            entries.push(entry);
            at += 1;
        }
        if at < stop {
            return Err(damaged(format!("entry {at} is missing")));
        }
    }
    Ok(entries)
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}
