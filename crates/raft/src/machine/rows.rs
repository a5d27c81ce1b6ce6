//! The rows of the column `state`: the View's, sealed, and this crate's own beside them.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;

use keystead_state::{ROW_KEYS, RowChange, View};

use super::Position;
use crate::codec::Codec;
use crate::seams::{Batch, Column, Order, Row, Store};
use crate::types::{LogId, StoredMembership};
use crate::wire::Wire;

const LAST_APPLIED: [u8; 1] = [0x01];
const MEMBERSHIP: [u8; 1] = [0x02];

/// How many rows are read from the store at a time.
const ROWS_PER_SCAN: usize = 1024;

/// Changed rows in plain. Of several changes of one row the last counts, and only it is kept.
#[derive(Default)]
pub(super) struct Changes {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
}

impl Changes {
    pub(super) fn extend(&mut self, changes: Vec<RowChange>) {
        for change in changes {
            let value_bytes = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
            self.bytes += change.key.len() + value_bytes(&change.value);
            let key_bytes = change.key.len();
            if let Some(overtaken) = self.rows.insert(change.key, change.value) {
                self.bytes -= key_bytes + value_bytes(&overtaken);
            }
        }
    }

    /// Bytes of the changes that count.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn write_to(self, batch: &mut Batch, codec: &Codec) -> io::Result<()> {
        for (key, value) in self.rows {
            match value {
                Some(value) => put_row(batch, codec, key, &value)?,
                None => batch.delete(Column::State, key),
            }
        }
        Ok(())
    }
}

pub(super) fn put_row(
    batch: &mut Batch,
    codec: &Codec,
    key: Vec<u8>,
    value: &[u8],
) -> io::Result<()> {
    let sealed = codec.seal_row(&key, value)?;
    batch.put(Column::State, key, sealed);
    Ok(())
}

pub(super) fn write_position(batch: &mut Batch, position: &Position) {
    match &position.applied {
        Some(log_id) => batch.put(Column::State, LAST_APPLIED, log_id.encode()),
        None => batch.delete(Column::State, LAST_APPLIED),
    }
    batch.put(Column::State, MEMBERSHIP, position.membership.encode());
}

/// Removes every row, this crate's own included.
pub(super) fn wipe(batch: &mut Batch) {
    batch.delete_range(Column::State, [0x00], [0xff]);
}

/// Loads the state. Rows that an earlier version wrote in another form are replaced on the way.
///
/// # Errors
/// A row is damaged, misplaced, or was sealed with another root key.
pub(super) fn load(store: &dyn Store, codec: &Codec) -> io::Result<(Position, View)> {
    let applied = store
        .get(Column::State, &LAST_APPLIED)?
        .map(|bytes| LogId::decode(bytes, "last applied log id"))
        .transpose()?;
    let membership = store
        .get(Column::State, &MEMBERSHIP)?
        .map(|bytes| StoredMembership::decode(bytes, "membership"))
        .transpose()?
        .unwrap_or_default();
    let mut rows = StateRows::new(store, codec);
    let loaded = View::from_stored_rows(&mut rows, applied.map_or(0, |log_id| log_id.index));
    rows.failure.map_or(Ok(()), Err)?;
    let (view, outdated) =
        loaded.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    if !outdated.is_empty() {
        tracing::info!("rows of an earlier version are replaced");
        let (mut changes, mut batch) = (Changes::default(), Batch::default());
        changes.extend(outdated);
        changes.write_to(&mut batch, codec)?;
        store.write(batch)?;
    }
    Ok((Position { applied, membership }, view))
}

/// The View's rows in plain, in order. It ends early at the first failure and keeps it.
struct StateRows<'a> {
    store: &'a dyn Store,
    codec: &'a Codec,
    after: Bound<Vec<u8>>,
    fetched: std::vec::IntoIter<Row>,
    failure: Option<io::Error>,
}

impl<'a> StateRows<'a> {
    fn new(store: &'a dyn Store, codec: &'a Codec) -> Self {
        let after = Bound::Included(vec![*ROW_KEYS.start()]);
        Self { store, codec, after, fetched: Vec::new().into_iter(), failure: None }
    }

    fn fetch(&mut self) -> io::Result<Option<Row>> {
        if self.fetched.as_slice().is_empty() {
            let end = Bound::Excluded(vec![ROW_KEYS.end().saturating_add(1)]);
            let range = (self.after.clone(), end);
            let rows = self.store.scan(Column::State, range, Order::Ascending, ROWS_PER_SCAN)?;
            if let Some((key, _)) = rows.last() {
                self.after = Bound::Excluded(key.clone());
            }
            self.fetched = rows.into_iter();
        }
        let Some((key, sealed)) = self.fetched.next() else { return Ok(None) };
        let value = self.codec.open_row(&key, &sealed)?;
        Ok(Some((key, value)))
    }
}

impl Iterator for StateRows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if self.failure.is_some() {
            return None;
        }
        self.fetch().unwrap_or_else(|error| {
            self.failure = Some(error);
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use keystead_crypto::keyring::{Keyring, RootKey};
    use keystead_state::proto::command::Operation;
    use keystead_state::proto::{DomainKeyRecord, Initialise, RequestChunkRecord, Tick};
    use keystead_state::{Command, apply};
    use keystead_types::ClusterId;
    use prost::Message;

    use super::*;
    use crate::store::MemStore;

    /// Tags of rows: of one request, as earlier versions wrote them, and of a chunk.
    const SINGLE_REQUEST: u8 = 0x17;
    const REQUEST_CHUNK: u8 = 0x19;

    fn codec() -> Codec {
        let keyring = Keyring::new(&RootKey::generate().unwrap()).unwrap();
        Codec::new(keyring.into(), ClusterId::new([7; 16]))
    }

    /// A state that remembers some requests.
    fn view() -> View {
        let mut view = View::empty();
        let initialise = Operation::Initialise(Initialise {
            cluster_id: vec![7; 16],
            region: "eu-central-1".into(),
            sealed_roots: Vec::new(),
            domain_key: Some(DomainKeyRecord { epoch: 1, wrapped: vec![1], created_ms: 0 }),
        });
        let ticks = (1..=150).map(|number: u8| (vec![number; 32], Operation::Tick(Tick {})));
        let operations = [(Vec::new(), initialise)].into_iter().chain(ticks);
        for ((request_id, operation), index) in operations.zip(1..) {
            let operation = Some(operation);
            let command =
                Command { request_id, version: 1, time_ms: 1, operation, ..Command::default() };
            apply(&mut view, index, &command).unwrap();
        }
        view
    }

    /// As an earlier version stored it.
    fn with_single_requests(view: &View) -> Vec<Row> {
        let mut rows = Vec::new();
        for (key, value) in view.rows() {
            if key[0] != REQUEST_CHUNK {
                rows.push((key, value));
                continue;
            }
            let chunk = RequestChunkRecord::decode(&value[..]).unwrap();
            rows.extend(chunk.requests.into_iter().map(|request| {
                ([&[SINGLE_REQUEST][..], &request.request_id].concat(), request.encode_to_vec())
            }));
        }
        rows
    }

    fn stored(store: &MemStore) -> Vec<Row> {
        let all = (Bound::Included(vec![*ROW_KEYS.start()]), Bound::Unbounded);
        store.scan(Column::State, all, Order::Ascending, usize::MAX).unwrap()
    }

    #[test]
    fn rows_of_an_earlier_version_are_replaced() {
        let (store, codec, view) = (MemStore::new(), codec(), view());
        let mut batch = Batch::default();
        for (key, value) in with_single_requests(&view) {
            put_row(&mut batch, &codec, key, &value).unwrap();
        }
        let count = batch.operations().len();
        store.write(batch).unwrap();

        let (_, loaded) = load(&store, &codec).unwrap();
        assert!(loaded.rows().eq(view.rows()));
        let replaced = stored(&store);
        assert_eq!(replaced.len(), count - 150 + 3);
        let plain = |(key, sealed): &Row| {
            let value = codec.open_row(key, sealed).unwrap();
            (key.clone(), value)
        };
        assert!(replaced.iter().map(plain).eq(view.rows()));

        // Once: a second time they would be sealed anew.
        let (_, loaded) = load(&store, &codec).unwrap();
        assert!(loaded.rows().eq(view.rows()));
        assert_eq!(stored(&store), replaced);
    }

    #[test]
    fn of_several_changes_of_a_row_the_last_is_written() {
        let (codec, mut changes) = (codec(), Changes::default());
        let change = |key: u8, value: Option<usize>| RowChange {
            key: vec![key],
            value: value.map(|length| vec![key; length]),
        };
        for length in 0..100 {
            changes.extend(vec![change(1, Some(length)), change(2, Some(length))]);
        }
        changes.extend(vec![change(2, None), change(3, None), change(3, Some(10))]);
        assert_eq!(changes.bytes(), (1 + 99) + 1 + (1 + 10));

        let (store, mut batch) = (MemStore::new(), Batch::default());
        changes.write_to(&mut batch, &codec).unwrap();
        assert_eq!(batch.operations().len(), 3);
        store.write(batch).unwrap();
        let lengths: Vec<_> = [1, 2, 3]
            .map(|key| store.get(Column::State, &[key]).unwrap())
            .into_iter()
            .map(|sealed| sealed.map(|sealed| sealed.len()))
            .collect();
        assert_eq!(lengths[0].unwrap() - lengths[2].unwrap(), 99 - 10);
        assert_eq!(lengths[1], None);
    }
}
