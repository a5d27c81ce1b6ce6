//! What wrapped material is bound to.

use keystead_types::{AccountId, KeyId, KeySpec, KeyUsage, MaterialId, Origin};

/// What wrapped material is bound to: all of its key that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaterialBinding {
    /// The account that owns the key.
    pub account: AccountId,
    /// The key.
    pub key_id: KeyId,
    /// The material.
    pub material_id: MaterialId,
    /// The kind of key.
    pub spec: KeySpec,
    /// What the key is for.
    pub usage: KeyUsage,
    /// Where the material comes from.
    pub origin: Origin,
}

impl MaterialBinding {
    /// The canonical bytes, all fields of fixed width and big-endian: `account u64 ‖ key id (16) ‖
    /// flags u8 ‖ material id (32) ‖ spec u16 ‖ usage u16 ‖ origin u16`.
    pub fn bytes(&self) -> [u8; 63] {
        let mut bytes = [0; 63];
        bytes[..8].copy_from_slice(&self.account.number().to_be_bytes());
        bytes[8..24].copy_from_slice(self.key_id.bytes());
        bytes[24] = u8::from(self.key_id.multi_region());
        bytes[25..57].copy_from_slice(self.material_id.bytes());
        bytes[57..59].copy_from_slice(&self.spec.code().to_be_bytes());
        bytes[59..61].copy_from_slice(&self.usage.code().to_be_bytes());
        bytes[61..].copy_from_slice(&self.origin.code().to_be_bytes());
        bytes
    }
}
