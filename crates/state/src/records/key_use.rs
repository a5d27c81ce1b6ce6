//! The last uses of keys, as they are stored and as a command brings them.

use keystead_types::{CryptographicOperation, KeyId, RequestId, UnixMillis};

use super::code;
use crate::model::KeyUse;
use crate::proto;

impl KeyUse {
    /// The record of it.
    pub fn record(&self) -> proto::KeyUseRecord {
        proto::KeyUseRecord {
            key_id: self.key.bytes().to_vec(),
            key_multi_region: self.key.multi_region(),
            at_ms: self.at.0,
            operation: self.operation.code().into(),
            request_id: self.request_id.bytes().to_vec(),
            event_id: self.event_id.bytes().to_vec(),
        }
    }

    /// The use that a record tells of.
    pub(crate) fn from_record(record: &proto::KeyUseRecord) -> Option<Self> {
        let id = |bytes: &[u8]| Some(RequestId::new(bytes.try_into().ok()?));
        let key = record.key_id.as_slice().try_into().ok()?;
        Some(Self {
            key: KeyId::new(key, record.key_multi_region),
            at: UnixMillis(record.at_ms),
            operation: code(record.operation, CryptographicOperation::from_code)?,
            request_id: id(&record.request_id)?,
            event_id: id(&record.event_id)?,
        })
    }
}
