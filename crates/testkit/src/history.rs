//! What clients did and were told, operation by operation.

use std::fmt;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};

/// The state of a key, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// There is no such key.
    Absent,
    /// It may be used.
    Enabled,
    /// It may not.
    Disabled,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// CreateKey.
    Create,
    /// EnableKey.
    Enable,
    /// DisableKey.
    Disable,
    /// Encrypt.
    Encrypt,
    /// Decrypt.
    Decrypt,
    /// DescribeKey.
    Describe,
}

/// What the client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It was done.
    Done,
    /// The state of the key: because that was asked for, or because nothing is done in it.
    State(KeyState),
    /// Nothing, or nothing that says whether it was done.
    Nothing,
}

/// One operation of one client, all of its attempts together.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The client; it does one operation after the other.
    pub client: usize,
    /// The node that it asked last.
    pub node: usize,
    /// What it asked for.
    pub kind: Kind,
    /// The key: its id, or what only its creator knows as long as it has none.
    pub key: Arc<str>,
    /// When the first attempt began: nanoseconds on a clock that all clients share.
    pub invoked: u64,
    /// When the reply was there, or the client gave up.
    pub returned: u64,
    /// What came of it.
    pub told: Told,
    /// The log index that the reply names.
    pub index: Option<u64>,
    /// How often it was sent.
    pub attempts: u32,
}

impl Kind {
    /// The state that it leaves a key in; none for what changes nothing.
    pub fn effect(self) -> Option<KeyState> {
        match self {
            Self::Create | Self::Enable => Some(KeyState::Enabled),
            Self::Disable => Some(KeyState::Disabled),
            Self::Encrypt | Self::Decrypt | Self::Describe => None,
        }
    }

    /// Whether it needs the key's material.
    pub fn is_use(self) -> bool {
        matches!(self, Self::Encrypt | Self::Decrypt)
    }
}

impl Operation {
    /// The state that it may have left the key in.
    pub fn possible_effect(&self) -> Option<KeyState> {
        self.kind.effect().filter(|_| !matches!(self.told, Told::State(_)))
    }

    /// The state that it is known to have left the key in.
    pub fn effect(&self) -> Option<KeyState> {
        self.kind.effect().filter(|_| self.told == Told::Done)
    }

    /// The latest moment at which it can have taken effect.
    pub fn latest(&self) -> u64 {
        if self.told == Told::Nothing { u64::MAX } else { self.returned }
    }

    fn as_json(&self) -> Value {
        json!({
            "client": self.client,
            "node": self.node,
            "operation": format!("{:?}", self.kind),
            "key": &*self.key,
            "invoked": self.invoked,
            "returned": self.returned,
            "told": format!("{:?}", self.told),
            "index": self.index,
            "attempts": self.attempts,
        })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: u64| time as f64 / 1e6;
        write!(
            f,
            "{:?} of {} by client {} through node {}, {:.3} to {:.3} ms: {:?}",
            self.kind,
            self.key,
            self.client,
            self.node,
            milliseconds(self.invoked),
            milliseconds(self.returned),
            self.told,
        )?;
        match self.index {
            Some(index) => write!(f, " at index {index}"),
            None => Ok(()),
        }
    }
}

/// Writes a history, one JSON object a line.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, history: &[Operation]) -> Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    for operation in history {
        writeln!(file, "{}", operation.as_json())?;
    }
    file.flush()?;
    Ok(())
}
