//! What the tests of the state share: commands, and a replica to apply them to.
#![allow(dead_code)] // Every test binary uses its own part of this.

pub mod actions;
pub mod iam;

use std::collections::BTreeMap;

use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::{self, Reason};
use keystead_state::{Command, ROW_KEYS, RowChange, View, apply};
use keystead_types::{AccountId, AliasName, KeyId, KeySpec, KeyState, KeyUsage, Origin};
use prost::Message;

/// When the region was made.
pub const START: u64 = 1_700_000_000_000;
pub const MINUTE: u64 = 60 * 1000;
pub const DAY: u64 = 24 * 60 * MINUTE;
/// The two accounts that every initialised replica has, each with one access key.
pub const ACCOUNTS: [u64; 2] = [111_122_223_333, 444_455_556_666];
pub const ACCESS_KEYS: [&str; 2] = ["ACCESS0", "ACCESS1"];

/// Tags of the rows of requests: one each, as earlier versions wrote them, and by 64 log entries.
pub const SINGLE_REQUEST: u8 = 0x17;
pub const REQUEST_CHUNK: u8 = 0x19;

/// A command of the present version, authorised at no View in particular.
pub fn command(time_ms: u64, operation: Operation) -> Command {
    Command {
        request_id: Vec::new(),
        time_ms,
        principal: "arn:aws:iam::111122223333:root".into(),
        access_key_id: String::new(),
        authorised_at: 0,
        version: 1,
        user_id: String::new(),
        quotas: None,
        role_id: String::new(),
        session_issued_ms: 0,
        via_access_key_id: String::new(),
        provider_id: String::new(),
        session_policy_ids: Vec::new(),
        operation: Some(operation),
    }
}

/// A request id that differs for each number.
pub fn request_id(number: u32) -> Vec<u8> {
    let mut id = vec![0xA5; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    id
}

pub fn rejected(reason: Reason) -> OutcomeResult {
    OutcomeResult::Rejected(proto::Rejected { reason: reason.into() })
}

pub fn stale() -> OutcomeResult {
    OutcomeResult::Stale(proto::Stale {})
}

pub fn done() -> OutcomeResult {
    OutcomeResult::Done(proto::Done {})
}

/// Key ids by number; 4 and 5 differ in nothing but the multi-Region flag.
pub fn key_id(number: u8) -> KeyId {
    match number {
        5 => KeyId::new([4; 16], true),
        n => KeyId::new([n; 16], n % 3 == 2),
    }
}

pub fn key_ref(number: u8) -> Option<proto::KeyRef> {
    let id = key_id(number);
    Some(proto::KeyRef { id: id.bytes().to_vec(), multi_region: id.multi_region() })
}

pub fn account(number: u64) -> AccountId {
    AccountId::from_number(number).unwrap()
}

pub fn alias_name(name: &str) -> AliasName {
    name.parse().unwrap()
}

pub fn initialise() -> Operation {
    Operation::Initialise(proto::Initialise {
        cluster_id: vec![7; 16],
        region: "eu-central-1".into(),
        sealed_roots: vec![proto::SealedRootRecord {
            seal_id: "file".into(),
            check_value: vec![1; 8],
            blob: vec![2; 48],
        }],
        domain_key: Some(proto::DomainKeyRecord {
            epoch: 1,
            wrapped: vec![3; 64],
            created_ms: START,
        }),
    })
}

pub fn create_account(account: u64, access_key: &str) -> Operation {
    Operation::CreateAccount(proto::CreateAccount {
        account,
        access_key_id: access_key.into(),
        sealed_secret: vec![4; 60],
        service: String::new(),
    })
}

pub fn create_authority(number: u8) -> Operation {
    let (certificate, sealed_key) = (vec![number; 40], vec![number; 40]);
    Operation::CreateAuthority(proto::CreateAuthority { certificate, sealed_key })
}

/// A symmetric key of the first account, enabled.
pub fn symmetric_key(number: u8) -> proto::CreateKey {
    proto::CreateKey {
        key: key_ref(number),
        account: ACCOUNTS[0],
        spec: KeySpec::SymmetricDefault.code().into(),
        usage: KeyUsage::EncryptDecrypt.code().into(),
        origin: Origin::AwsKms.code().into(),
        description: String::new(),
        material: Some(material(number)),
        policy: "{}".into(),
        policy_given: false,
        lockout_check: None,
        tags: BTreeMap::new(),
    }
}

pub fn material(number: u8) -> proto::MaterialRecord {
    proto::MaterialRecord {
        id: vec![number; 32],
        wrapped: vec![number; 80],
        origin: Origin::AwsKms.code().into(),
        state: proto::MaterialState::Current.into(),
        created_ms: 0,
        expires_ms: None,
        description: String::new(),
        rotation: None,
    }
}

pub fn create_key(number: u8) -> Operation {
    Operation::CreateKey(symmetric_key(number))
}

pub fn enable(key: u8) -> Operation {
    Operation::EnableKey(proto::EnableKey { key: key_ref(key) })
}

pub fn disable(key: u8) -> Operation {
    Operation::DisableKey(proto::DisableKey { key: key_ref(key) })
}

pub fn describe(key: u8, description: &str) -> Operation {
    let description = description.into();
    Operation::UpdateKeyDescription(proto::UpdateKeyDescription { key: key_ref(key), description })
}

pub fn schedule(key: u8, window_days: u32) -> Operation {
    Operation::ScheduleKeyDeletion(proto::ScheduleKeyDeletion { key: key_ref(key), window_days })
}

pub fn cancel(key: u8) -> Operation {
    Operation::CancelKeyDeletion(proto::CancelKeyDeletion { key: key_ref(key) })
}

pub fn delete_due(keys: &[u8]) -> Operation {
    let keys = keys.iter().filter_map(|&key| key_ref(key)).collect();
    Operation::DeleteDueKeys(proto::DeleteDueKeys { keys })
}

pub fn enable_rotation(key: u8, period_days: u32) -> Operation {
    let key = key_ref(key);
    Operation::EnableKeyRotation(proto::EnableKeyRotation { key, period_days })
}

pub fn disable_rotation(key: u8) -> Operation {
    Operation::DisableKeyRotation(proto::DisableKeyRotation { key: key_ref(key) })
}

/// Rotates a key on demand, to the material of this number.
pub fn rotate(key: u8, number: u8) -> Operation {
    let material = Some(material(number));
    Operation::RotateKey(proto::RotateKey { key: key_ref(key), material })
}

/// Rotates those of the keys that are due, each to the material of a number.
pub fn rotate_due(keys: &[(u8, u8)]) -> Operation {
    let due = |&(key, number): &(u8, u8)| proto::DueRotation {
        key: key_ref(key),
        material: Some(material(number)),
    };
    let rotations = keys.iter().map(due).collect();
    Operation::RotateDueKeys(proto::RotateDueKeys { rotations })
}

pub fn rotated(keys: &[u8]) -> OutcomeResult {
    let keys = keys.iter().filter_map(|&key| key_ref(key)).collect();
    OutcomeResult::KeysRotated(proto::KeysRotated { keys })
}

/// The AWS-managed key of the first account for a service.
pub fn managed_key(number: u8, service: &str) -> proto::CreateManagedKey {
    proto::CreateManagedKey {
        key: key_ref(number),
        account: ACCOUNTS[0],
        service: service.into(),
        description: format!("protects {service}"),
        policy: "{}".into(),
        material: Some(material(number)),
    }
}

pub fn create_managed_key(number: u8, service: &str) -> Operation {
    Operation::CreateManagedKey(managed_key(number, service))
}

pub fn created(key: u8) -> OutcomeResult {
    OutcomeResult::KeyCreated(proto::KeyCreated { key: key_ref(key) })
}

pub fn create_alias(account: u64, name: &str, key: u8) -> Operation {
    Operation::CreateAlias(proto::CreateAlias { account, name: name.into(), target: key_ref(key) })
}

pub fn update_alias(account: u64, name: &str, key: u8) -> Operation {
    Operation::UpdateAlias(proto::UpdateAlias { account, name: name.into(), target: key_ref(key) })
}

pub fn delete_alias(account: u64, name: &str) -> Operation {
    Operation::DeleteAlias(proto::DeleteAlias { account, name: name.into() })
}

pub fn tag(key: u8, tags: &[(&str, &str)]) -> Operation {
    let tags = tags.iter().map(|&(name, value)| (name.into(), value.into())).collect();
    Operation::TagKey(proto::TagKey { key: key_ref(key), tags })
}

pub fn untag(key: u8, names: &[&str]) -> Operation {
    let tag_keys = names.iter().map(|&name| name.into()).collect();
    Operation::UntagKey(proto::UntagKey { key: key_ref(key), tag_keys })
}

/// A use of a key, at a time and by the operation of this code.
pub fn use_of(key: u8, at_ms: u64, operation: u32) -> proto::KeyUseRecord {
    let id = key_id(key);
    proto::KeyUseRecord {
        key_id: id.bytes().to_vec(),
        key_multi_region: id.multi_region(),
        at_ms,
        operation,
        request_id: vec![key; 16],
        event_id: vec![0xE0; 16],
    }
}

pub fn record_uses(uses: Vec<proto::KeyUseRecord>) -> Operation {
    Operation::RecordKeyUses(proto::RecordKeyUses { uses, ahead_ms: 0 })
}

pub fn tick() -> Operation {
    Operation::Tick(proto::Tick {})
}

/// The requests in a chunk's row.
pub fn requests_in(value: &[u8]) -> Vec<proto::RequestRecord> {
    proto::RequestChunkRecord::decode(value).unwrap().requests
}

/// What a store does with the changes of a command.
pub fn write(rows: &mut BTreeMap<Vec<u8>, Vec<u8>>, changes: &[RowChange]) {
    for change in changes {
        assert!(change.key.first().is_some_and(|tag| ROW_KEYS.contains(tag)));
        match &change.value {
            Some(value) => rows.insert(change.key.clone(), value.clone()),
            None => rows.remove(&change.key),
        };
    }
}

/// One copy of the state, and the last changes to it.
#[derive(Default)]
pub struct Replica {
    pub view: View,
    pub changes: Vec<RowChange>,
}

impl Replica {
    /// A region with the two accounts, at START.
    pub fn initialised() -> Self {
        let mut replica = Self::default();
        assert_eq!(replica.send(&command(START, initialise())), done());
        for (account, access_key) in ACCOUNTS.into_iter().zip(ACCESS_KEYS) {
            assert_eq!(replica.run(create_account(account, access_key)), done());
        }
        replica
    }

    /// Applies a command at the next index.
    pub fn send(&mut self, command: &Command) -> OutcomeResult {
        let index = self.view.applied() + 1;
        let applied = apply(&mut self.view, index, command).unwrap();
        self.changes = applied.changes;
        applied.outcome.result.unwrap()
    }

    /// Applies an operation that was authorised on the present View.
    pub fn run(&mut self, operation: Operation) -> OutcomeResult {
        let authorised_at = self.view.applied();
        self.send(&Command { authorised_at, ..command(0, operation) })
    }

    /// Applies an operation that was authorised on an older View.
    pub fn run_authorised_at(&mut self, index: u64, operation: Operation) -> OutcomeResult {
        self.send(&Command { authorised_at: index, ..command(0, operation) })
    }

    /// Moves the replicated clock.
    pub fn wait(&mut self, millis: u64) {
        let time = self.view.clock().plus(millis).0;
        assert_eq!(self.send(&command(time, tick())), done());
    }

    pub fn rows(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.view.rows().collect()
    }

    /// The requests in the rows, in order.
    pub fn remembered(&self) -> Vec<proto::RequestRecord> {
        let chunks = self.view.rows().filter(|(key, _)| key[0] == REQUEST_CHUNK);
        chunks.flat_map(|(_, value)| requests_in(&value)).collect()
    }

    /// The rows as earlier versions wrote them: each request in one of its own.
    pub fn rows_with_single_requests(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut rows = self.rows();
        rows.retain(|key, _| key[0] != REQUEST_CHUNK);
        rows.extend(self.remembered().into_iter().map(|request| {
            let key = [&[SINGLE_REQUEST][..], &request.request_id].concat();
            (key, request.encode_to_vec())
        }));
        rows
    }

    /// The same state after a restart.
    pub fn reload(&mut self) {
        self.view = View::from_rows(self.view.rows(), self.view.applied()).unwrap();
    }

    pub fn key_state(&self, number: u8) -> Option<KeyState> {
        self.view.key(&key_id(number)).map(|key| key.state)
    }
}
