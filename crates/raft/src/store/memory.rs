//! A store in memory, for nodes that keep nothing.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use crate::seams::{Batch, Column, KeyRange, Operation, Order, Row, Store};

/// A store that forgets everything when it is dropped. Its `sync` has nothing to do.
#[derive(Debug, Default)]
pub struct MemStore {
    tables: RwLock<Tables>,
}

impl MemStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemStore {
    fn write(&self, batch: Batch) -> io::Result<()> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner).apply(&batch);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.tables.read().unwrap_or_else(PoisonError::into_inner).get(column, key))
    }

    fn scan(
        &self,
        column: Column,
        range: KeyRange,
        order: Order,
        limit: usize,
    ) -> io::Result<Vec<Row>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        Ok(tables.scan(column, range, order, limit))
    }

    fn blocks(&self) -> bool {
        false
    }

    fn close(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The columns of a store in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    columns: [BTreeMap<Vec<u8>, Vec<u8>>; Column::ALL.len()],
}

impl Tables {
    pub(crate) fn apply(&mut self, batch: &Batch) {
        for operation in batch.operations() {
            match operation {
                Operation::Put(column, key, value) => {
                    self.column_mut(*column).insert(key.clone(), value.clone());
                }
                Operation::Delete(column, key) => {
                    self.column_mut(*column).remove(key);
                }
                Operation::DeleteRange(column, first, end) => {
                    self.column_mut(*column).retain(|key, _| key < first || key >= end);
                }
            }
        }
    }

    pub(crate) fn get(&self, column: Column, key: &[u8]) -> Option<Vec<u8>> {
        self.column(column).get(key).cloned()
    }

    pub(crate) fn scan(
        &self,
        column: Column,
        range: KeyRange,
        order: Order,
        limit: usize,
    ) -> Vec<Row> {
        if is_empty(&range) {
            return Vec::new();
        }
        let owned = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        let rows = self.column(column).range(range);
        match order {
            Order::Ascending => rows.take(limit).map(owned).collect(),
            Order::Descending => rows.rev().take(limit).map(owned).collect(),
        }
    }

    fn column(&self, column: Column) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        match column {
            Column::RaftLog => &self.columns[0],
            Column::RaftMeta => &self.columns[1],
            Column::State => &self.columns[2],
        }
    }

    fn column_mut(&mut self, column: Column) -> &mut BTreeMap<Vec<u8>, Vec<u8>> {
        match column {
            Column::RaftLog => &mut self.columns[0],
            Column::RaftMeta => &mut self.columns[1],
            Column::State => &mut self.columns[2],
        }
    }
}

/// `BTreeMap::range` panics on ranges that end before they start.
fn is_empty(range: &KeyRange) -> bool {
    match range {
        (Bound::Included(first), Bound::Included(last)) => first > last,
        (Bound::Included(first) | Bound::Excluded(first), Bound::Excluded(last))
        | (Bound::Excluded(first), Bound::Included(last)) => first >= last,
        _ => false,
    }
}
