//! Remembered requests, in chunks: the log entries of a chunk share one row, so that commands that
//! are applied together write it once.

use keystead_types::UnixMillis;
use prost::Message;

use crate::proto::{RequestChunkRecord, RequestRecord};

/// How many log entries in a row share a chunk. With more, a command that is applied alone writes
/// more; with fewer, a full memory has more rows to read at start.
const CHUNK_ENTRIES: u64 = 64;

/// The number of the chunk that a log entry belongs to.
pub(crate) fn chunk_number(index: u64) -> u64 {
    index / CHUNK_ENTRIES
}

/// The first result of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) id: [u8; 32],
    pub(crate) at: UnixMillis,
    pub(crate) index: u64,
    pub(crate) outcome: Vec<u8>,
}

/// What is remembered of one chunk of the log, encoded: it is written far more often than read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestChunk {
    newest: UnixMillis,
    record: Vec<u8>,
}

impl RequestChunk {
    /// The chunk that a stored record holds, if it holds one of this number.
    pub(crate) fn read(number: u64, record: &[u8]) -> Option<Self> {
        let RequestChunkRecord { requests } = RequestChunkRecord::decode(record).ok()?;
        let mut newest = UnixMillis::default();
        for request in requests {
            let request = Remembered::read(request)?;
            if chunk_number(request.index) != number {
                return None;
            }
            newest = newest.max(request.at);
        }
        Some(Self { newest, record: record.to_vec() })
    }

    /// The encoded record.
    pub(crate) fn record(&self) -> &[u8] {
        &self.record
    }

    /// When the last of its requests was carried out, by the replicated clock.
    pub(crate) fn newest(&self) -> UnixMillis {
        self.newest
    }

    /// Adds a request, which is later than all that are there.
    pub(crate) fn push(&mut self, request: &Remembered) {
        self.newest = self.newest.max(request.at);
        // Encoded messages in a row are one message with the members of all.
        let more = RequestChunkRecord { requests: vec![request.record()] };
        self.record.extend_from_slice(&more.encode_to_vec());
    }

    /// Its requests, in order of their log entries.
    pub(crate) fn requests(&self) -> impl Iterator<Item = Remembered> {
        // What was read or encoded here decodes here.
        let record = RequestChunkRecord::decode(self.record()).unwrap_or_default();
        record.requests.into_iter().filter_map(Remembered::read)
    }
}

impl Remembered {
    pub(crate) fn read(record: RequestRecord) -> Option<Self> {
        Some(Self {
            id: record.request_id.try_into().ok()?,
            at: UnixMillis(record.at_ms),
            index: record.index,
            outcome: record.outcome,
        })
    }

    fn record(&self) -> RequestRecord {
        RequestRecord {
            request_id: self.id.to_vec(),
            at_ms: self.at.0,
            index: self.index,
            outcome: self.outcome.clone(),
        }
    }
}
