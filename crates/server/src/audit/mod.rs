//! The audit trail: one CloudTrail-shaped JSON line per request, written before the reply.

mod event;
mod operator;
mod parameters;
mod record;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use serde::Serialize;

pub(crate) use event::KeyEvent;
pub(crate) use operator::{Operator, OperatorRecord};
pub(crate) use parameters::Parameters;
pub(crate) use record::{Origin, Record, TlsDetails};

/// What most lines have room in.
const LINE_BYTES: usize = 1536;

/// Where the lines go.
#[derive(Debug)]
pub struct AuditTrail {
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    File(Mutex<File>),
    StandardError,
}

impl AuditTrail {
    /// Appends to a file, which is created with mode 0600 if it is not there.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn file(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self { sink: Sink::File(Mutex::new(file)) })
    }

    /// Writes to standard error.
    pub fn standard_error() -> Self {
        Self { sink: Sink::StandardError }
    }

    /// Writes one record as one line, in one write, so that lines never mix.
    ///
    /// # Errors
    /// The line could not be written: then nobody may get the reply.
    pub(crate) fn append(&self, record: &impl Serialize) -> io::Result<()> {
        let mut line = Vec::with_capacity(LINE_BYTES);
        serde_json::to_writer(&mut line, record)?;
        line.push(b'\n');
        match &self.sink {
            Sink::File(file) => {
                // A panic while holding the lock cannot leave half a line behind: one write.
                let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                file.write_all(&line)
            }
            Sink::StandardError => io::stderr().lock().write_all(&line),
        }
    }
}
