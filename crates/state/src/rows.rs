//! Row keys: a tag byte and a fixed-width id or number. They hold no names; where a name is the key, its
//! hash stands for it, and [`name_hash`] is the one place that makes it.

use std::ops::RangeInclusive;

use keystead_types::{
    AccessKeyId, AccountId, AliasName, GrantId, GroupId, KeyId, NodeId, OidcProviderId, PolicyId,
    Region, RoleId, UnixMillis, UserId,
};

/// The first bytes that rows of the state use; the rest is the store's own.
pub const ROW_KEYS: RangeInclusive<u8> = 0x10..=0xEF;

/// A row to write, or to delete where there is no value. Values are plain; the store encrypts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// The row key.
    pub key: Vec<u8>,
    /// The encoded record.
    pub value: Option<Vec<u8>>,
}

pub(crate) const CLUSTER: u8 = 0x10;
pub(crate) const DOMAIN_KEY: u8 = 0x11;
pub(crate) const ACCOUNT: u8 = 0x12;
pub(crate) const CREDENTIAL: u8 = 0x13;
pub(crate) const POLICY: u8 = 0x14;
pub(crate) const KEY: u8 = 0x15;
pub(crate) const ALIAS: u8 = 0x16;
/// One request. Earlier versions wrote such rows, this one replaces them when it loads.
pub(crate) const SINGLE_REQUEST: u8 = 0x17;
pub(crate) const AUTHORITY: u8 = 0x18;
pub(crate) const REQUEST_CHUNK: u8 = 0x19;
pub(crate) const GROUP: u8 = 0x20;
pub(crate) const MANAGED_POLICY: u8 = 0x21;
pub(crate) const USER: u8 = 0x22;
pub(crate) const GRANT: u8 = 0x23;
pub(crate) const KEY_USE: u8 = 0x24;
pub(crate) const LOST_MATERIAL: u8 = 0x25;
pub(crate) const ERASED: u8 = 0x26;
pub(crate) const ROLE: u8 = 0x27;
pub(crate) const OIDC_PROVIDER: u8 = 0x28;
pub(crate) const REGION_IDENTITY: u8 = 0x29;
pub(crate) const REGION_PEER: u8 = 0x2A;
pub(crate) const REGION_STREAM: u8 = 0x2B;
pub(crate) const OUTGOING: u8 = 0x2C;
pub(crate) const FORWARDED: u8 = 0x2D;

pub(crate) fn cluster() -> Vec<u8> {
    vec![CLUSTER]
}

pub(crate) fn domain_key(epoch: u32) -> Vec<u8> {
    row(DOMAIN_KEY, &[&epoch.to_be_bytes()])
}

pub(crate) fn authority() -> Vec<u8> {
    vec![AUTHORITY]
}

pub(crate) fn account(id: AccountId) -> Vec<u8> {
    row(ACCOUNT, &[&id.number().to_be_bytes()])
}

pub(crate) fn credential(id: &AccessKeyId) -> Vec<u8> {
    row(CREDENTIAL, &[&name_hash(id.as_str())])
}

pub(crate) fn policy(id: &[u8; 32]) -> Vec<u8> {
    row(POLICY, &[id])
}

pub(crate) fn key(id: &KeyId) -> Vec<u8> {
    row(KEY, &[&[u8::from(id.multi_region())], id.bytes()])
}

pub(crate) fn alias(account: AccountId, name: &AliasName) -> Vec<u8> {
    row(ALIAS, &[&account.number().to_be_bytes(), &name_hash(name.as_str())])
}

pub(crate) fn grant(key: &KeyId, id: &GrantId) -> Vec<u8> {
    row(GRANT, &[&[u8::from(key.multi_region())], key.bytes(), id.bytes()])
}

pub(crate) fn key_use(key: &KeyId) -> Vec<u8> {
    row(KEY_USE, &[&[u8::from(key.multi_region())], key.bytes()])
}

pub(crate) fn lost_material(key: &KeyId) -> Vec<u8> {
    row(LOST_MATERIAL, &[&[u8::from(key.multi_region())], key.bytes()])
}

pub(crate) fn erased(node: NodeId, through: u64) -> Vec<u8> {
    row(ERASED, &[&node.0.to_be_bytes(), &through.to_be_bytes()])
}

pub(crate) fn single_request(id: &[u8; 32]) -> Vec<u8> {
    row(SINGLE_REQUEST, &[id])
}

pub(crate) fn request_chunk(number: u64) -> Vec<u8> {
    row(REQUEST_CHUNK, &[&number.to_be_bytes()])
}

/// The number of the chunk whose row this is.
pub(crate) fn chunk_of(row: &[u8]) -> Option<u64> {
    let number = row.strip_prefix(&[REQUEST_CHUNK])?;
    Some(u64::from_be_bytes(number.try_into().ok()?))
}

pub(crate) fn group(id: GroupId) -> Vec<u8> {
    row(GROUP, &[&name_hash(&id.to_string())])
}

pub(crate) fn managed_policy(id: PolicyId) -> Vec<u8> {
    row(MANAGED_POLICY, &[&name_hash(&id.to_string())])
}

pub(crate) fn user(id: UserId) -> Vec<u8> {
    row(USER, &[&name_hash(&id.to_string())])
}

pub(crate) fn role(id: RoleId) -> Vec<u8> {
    row(ROLE, &[&name_hash(&id.to_string())])
}

pub(crate) fn oidc_provider(id: OidcProviderId) -> Vec<u8> {
    row(OIDC_PROVIDER, &[&name_hash(&id.to_string())])
}

pub(crate) fn forwarded(signed: UnixMillis, digest: &[u8; 32]) -> Vec<u8> {
    row(FORWARDED, &[&signed.0.to_be_bytes(), digest])
}

pub(crate) fn region_identity() -> Vec<u8> {
    vec![REGION_IDENTITY]
}

pub(crate) fn region_peer(region: &Region) -> Vec<u8> {
    row(REGION_PEER, &[&name_hash(region.as_str())])
}

pub(crate) fn region_stream(region: &Region) -> Vec<u8> {
    row(REGION_STREAM, &[&name_hash(region.as_str())])
}

pub(crate) fn outgoing(region: &Region, sequence: u64) -> Vec<u8> {
    row(OUTGOING, &[&name_hash(region.as_str()), &sequence.to_be_bytes()])
}

/// The first half of the SHA-256 of a name: short, and telling nothing but equality.
fn name_hash(name: &str) -> [u8; 16] {
    let digest = keystead_crypto::digest::sha256(name.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

fn row(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(tag);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}
