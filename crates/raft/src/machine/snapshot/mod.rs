//! Snapshots: a stream of sealed records, written from one View.
//!
//! All integers are big-endian.
//!
//! | part | bytes |
//! |---|---|
//! | magic | `KSTDSNAP` |
//! | header | u32 length, then version and message: cluster id, last log id, membership |
//! | each record, in order of the row keys | u32 length, u16 key length, row key, sealed value |
//! | end of the records | u32 0 |
//! | how many records | u64 |
//! | digest of the plain records | 32 |
//! | digest of everything before | 32 |
//!
//! Both digests are SHA-256 chained over the parts. Sealing is randomised, so the bytes differ
//! from node to node; the digest of the plain records is the same on every replica.

mod place;

use std::io::{self, BufReader, Read, Write};

use keystead_crypto::digest::sha256;
use keystead_state::View;
use keystead_types::ClusterId;
use prost::Message;

use crate::codec::Codec;
use crate::failpoint::{self, crash_point};
use crate::seams::Row;
use crate::types::{LogId, Snapshot, SnapshotMeta, StoredMembership};
use crate::wire::{LogIdForm, StoredMembershipForm, Wire};

pub use place::{SnapshotData, SnapshotStore};

const MAGIC: [u8; 8] = *b"KSTDSNAP";
/// Longer than any record or header can be: a length above it is damage.
const MAX_PART: u32 = 64 << 20;
const DIGEST_BYTES: u64 = 32;

/// What a snapshot says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) cluster_id: ClusterId,
    pub(crate) meta: SnapshotMeta,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct HeaderForm {
    #[prost(bytes = "vec", tag = "1")]
    cluster_id: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    last_log_id: Option<LogIdForm>,
    #[prost(message, optional, tag = "3")]
    last_membership: Option<StoredMembershipForm>,
}

impl Wire for Header {
    type Form = HeaderForm;

    fn to_form(&self) -> HeaderForm {
        HeaderForm {
            cluster_id: self.cluster_id.bytes().to_vec(),
            last_log_id: self.meta.last_log_id.as_ref().map(Wire::to_form),
            last_membership: Some(self.meta.last_membership.to_form()),
        }
    }

    fn from_form(form: HeaderForm) -> Option<Self> {
        let cluster_id = ClusterId::new(form.cluster_id.try_into().ok()?);
        let last_log_id = form.last_log_id.and_then(LogId::from_form);
        let last_membership = StoredMembership::from_form(form.last_membership?)?;
        Some(Self { cluster_id, meta: SnapshotMeta { last_log_id, last_membership } })
    }
}

/// Writes the View as the current snapshot.
///
/// # Errors
/// The place could not be written; the snapshot before it stays the current one.
pub(super) fn write(
    snapshots: &SnapshotStore,
    header: Header,
    view: &View,
    codec: &Codec,
) -> io::Result<Snapshot<SnapshotData>> {
    crash_point(failpoint::SNAPSHOT_BEFORE_WRITE);
    let mut draft = snapshots.draft()?;
    let mut writer = Chained::new(&mut draft);
    writer.write_part(&MAGIC)?;
    let encoded = header.encode();
    writer.write_part(&[&length(&encoded)?.to_be_bytes()[..], &encoded].concat())?;

    let (mut count, mut plain) = (0u64, Digest::default());
    for (key, value) in view.rows() {
        plain.add_row(&key, &value);
        let sealed = codec.seal_record(&key, &value)?;
        writer.write_part(&frame(&key, &sealed)?)?;
        count += 1;
    }

    let end = [&0u32.to_be_bytes()[..], &count.to_be_bytes(), &plain.0].concat();
    writer.write_part(&end)?;
    let digest = writer.digest;
    draft.write_all(&digest.0)?;
    snapshots.finish(draft, header.meta)
}

/// Reads a whole snapshot and checks all of it.
///
/// # Errors
/// It is damaged, of another cluster, or covers something else than `expected` says.
pub(super) fn read(
    data: &SnapshotData,
    expected: &SnapshotMeta,
    codec: &Codec,
) -> io::Result<View> {
    let mut records = Records::open(data, codec)?;
    if records.header.cluster_id != codec.cluster_id() {
        return Err(damaged(format!("it belongs to cluster {}", records.header.cluster_id)));
    }
    if records.header.meta != *expected {
        let found = &records.header.meta;
        return Err(damaged(format!("it covers {found} instead of {expected}")));
    }
    let applied = expected.last_log_id.map_or(0, |log_id| log_id.index);
    let view = View::from_rows(&mut records, applied);
    if let Some(error) = records.failure.take() {
        return Err(error);
    }
    let view = view.map_err(|error| damaged(error.to_string()))?;
    records.check_end()?;
    Ok(view)
}

/// The header of a snapshot and the digest of its plain records.
fn summary(data: &SnapshotData) -> io::Result<(Header, [u8; 32])> {
    let (header, _) = read_header(&mut data.reader())?;
    let mut digest = [0; 32];
    let at = data.len().checked_sub(2 * DIGEST_BYTES).ok_or_else(|| damaged("too short".into()))?;
    data.reader_at(at).read_exact(&mut digest)?;
    Ok((header, digest))
}

fn read_header(reader: &mut impl Read) -> io::Result<(Header, Digest)> {
    let mut magic = [0; MAGIC.len()];
    reader.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(damaged("it does not begin like a snapshot".into()));
    }
    let mut digest = Digest::default();
    digest.add(&magic);
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    let encoded = read_part(reader, u32::from_be_bytes(bytes))?;
    digest.add(&[&bytes[..], &encoded].concat());
    Ok((Header::decode(encoded, "snapshot header")?, digest))
}

/// The records of a snapshot in plain. It ends early at the first failure and keeps it.
struct Records<'a, R> {
    reader: R,
    codec: &'a Codec,
    header: Header,
    count: u64,
    plain: Digest,
    digest: Digest,
    failure: Option<io::Error>,
}

impl<'a> Records<'a, BufReader<place::Reader>> {
    fn open(data: &SnapshotData, codec: &'a Codec) -> io::Result<Self> {
        let mut reader = BufReader::new(data.reader());
        let (header, digest) = read_header(&mut reader)?;
        Ok(Self {
            reader,
            codec,
            header,
            count: 0,
            plain: Digest::default(),
            digest,
            failure: None,
        })
    }
}

impl<R: Read> Records<'_, R> {
    fn read_record(&mut self) -> io::Result<Option<Row>> {
        let mut bytes = [0; 4];
        self.reader.read_exact(&mut bytes)?;
        let length = u32::from_be_bytes(bytes);
        if length == 0 {
            return Ok(None);
        }
        let record = read_part(&mut self.reader, length)?;
        self.digest.add(&[&bytes[..], &record].concat());
        let (key, sealed) = split_record(&record)?;
        let value = self.codec.open_record(key, sealed)?;
        self.plain.add_row(key, &value);
        self.count += 1;
        Ok(Some((key.to_vec(), value)))
    }

    /// # Errors
    /// The end does not fit what came before it.
    fn check_end(mut self) -> io::Result<()> {
        let mut end = [0; 40];
        self.reader.read_exact(&mut end)?;
        let expected = [&self.count.to_be_bytes()[..], &self.plain.0].concat();
        self.digest.add(&[&0u32.to_be_bytes()[..], &end].concat());
        let mut digest = [0; 32];
        self.reader.read_exact(&mut digest)?;
        let more = self.reader.read(&mut [0])? != 0;
        if digest != self.digest.0 || end[..] != expected[..] || more {
            return Err(damaged("its digest is wrong".into()));
        }
        Ok(())
    }
}

impl<R: Read> Iterator for Records<'_, R> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if self.failure.is_some() {
            return None;
        }
        self.read_record().unwrap_or_else(|error| {
            self.failure = Some(error);
            None
        })
    }
}

/// SHA-256 chained over parts: each step hashes the digest so far and the next part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Digest([u8; 32]);

impl Digest {
    fn add(&mut self, part: &[u8]) {
        self.0 = sha256(&[&self.0[..], part].concat());
    }

    fn add_row(&mut self, key: &[u8], value: &[u8]) {
        let length = (key.len() as u64).to_be_bytes();
        self.0 = sha256(&[&self.0[..], &length, key, value].concat());
    }
}

/// A writer that keeps the digest of its parts.
struct Chained<W> {
    inner: W,
    digest: Digest,
}

impl<W: Write> Chained<W> {
    fn new(inner: W) -> Self {
        Self { inner, digest: Digest::default() }
    }

    fn write_part(&mut self, part: &[u8]) -> io::Result<()> {
        self.digest.add(part);
        self.inner.write_all(part)
    }
}

fn frame(key: &[u8], sealed: &[u8]) -> io::Result<Vec<u8>> {
    let too_long = || damaged("a row key is too long for it".into());
    let key_length = u16::try_from(key.len()).map_err(|_| too_long())?;
    let body = [&key_length.to_be_bytes()[..], key, sealed].concat();
    Ok([&length(&body)?.to_be_bytes()[..], &body].concat())
}

fn split_record(record: &[u8]) -> io::Result<(&[u8], &[u8])> {
    let split = || {
        let (key_length, rest) = record.split_at_checked(2)?;
        let key_length = u16::from_be_bytes(key_length.try_into().ok()?);
        rest.split_at_checked(usize::from(key_length))
    };
    split().ok_or_else(|| damaged("a record is cut short".into()))
}

fn length(part: &[u8]) -> io::Result<u32> {
    u32::try_from(part.len())
        .ok()
        .filter(|length| *length <= MAX_PART)
        .ok_or_else(|| damaged("a part is too long for it".into()))
}

/// Reads a part of a length that the stream itself gave, without trusting it with memory.
fn read_part(reader: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    if length > MAX_PART {
        return Err(damaged("a part is too long".into()));
    }
    let mut part = Vec::new();
    reader.take(u64::from(length)).read_to_end(&mut part)?;
    if part.len() as u64 != u64::from(length) {
        return Err(damaged("it is cut short".into()));
    }
    Ok(part)
}

fn damaged(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the snapshot cannot be used: {why}"))
}
