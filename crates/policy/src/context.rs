//! The facts about a request that conditions and variables ask for.

use std::collections::HashMap;

/// Condition keys and their values. Names are compared without regard to case.
#[derive(Debug, Clone, Default)]
pub struct Context {
    entries: HashMap<String, Entry>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) values: Vec<String>,
    pub(crate) defaulted: bool,
}

impl Context {
    /// A context without any key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value to a key. A key without values is the same as no key.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        self.entries.entry(key.to_lowercase()).or_default().values.push(value.into());
    }

    /// Adds the value that a parameter has when a request leaves it out. For some keys `Null`
    /// sees the parameter as absent then.
    pub fn add_default(&mut self, key: &str, value: impl Into<String>) {
        let entry = self.entries.entry(key.to_lowercase()).or_default();
        entry.values.push(value.into());
        entry.defaulted = true;
    }

    /// All keys in lower case, with their values and whether they are a default's, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String], bool)> {
        self.entries.iter().map(|(key, entry)| (&**key, &*entry.values, entry.defaulted))
    }

    /// Takes a key away.
    pub fn remove(&mut self, key: &str) {
        self.entries.remove(&key.to_lowercase());
    }

    /// The values of a key; empty when there is none.
    pub fn values(&self, key: &str) -> &[String] {
        self.entry(&key.to_lowercase()).map_or(&[], |entry| &entry.values)
    }

    /// Of a name in lower case.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| !entry.values.is_empty())
    }

    /// What a variable stands for: the one value of its key, of a name in lower case.
    pub(crate) fn variable(&self, key: &str) -> Option<&str> {
        match self.entry(key)?.values.as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }
}
