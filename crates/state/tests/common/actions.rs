//! Random commands over a small world, so that they meet each other often.

use std::collections::BTreeMap;

use keystead_state::proto;
use keystead_state::proto::command::Operation;
use keystead_state::{Command, View};
use keystead_types::{KeySpec, KeyUsage, Origin};
use proptest::prelude::*;

use super::*;

/// Key numbers are below this.
pub const KEYS: u8 = 6;
/// So are the numbers of materials; that of a key's first one is the key's own.
pub const MATERIALS: u8 = 30;
/// The last ones are those of AWS-managed keys.
pub const NAMES: [&str; 6] =
    ["alias/-", "alias/a", "alias/a/b", "alias/Z_9", MANAGED[0], MANAGED[1]];
pub const MANAGED: [&str; 2] = ["alias/aws/ebs", "alias/aws/s3"];
/// Accounts that commands name: the two of the beginning, and one that may come to be.
pub const ANY_ACCOUNT: [u64; 3] = [ACCOUNTS[0], ACCOUNTS[1], 0];
pub const ANY_ACCESS_KEY: [&str; 3] = [ACCESS_KEYS[0], ACCESS_KEYS[1], "ACCESS2"];
pub const POLICIES: [&str; 3] = ["", "{}", "{\"Version\":\"2012-10-17\"}"];
/// Spec, usage and the class within which an alias may move.
pub const KINDS: [(KeySpec, KeyUsage, u8); 4] = [
    (KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt, 0),
    (KeySpec::Hmac256, KeyUsage::GenerateVerifyMac, 1),
    (KeySpec::Rsa2048, KeyUsage::EncryptDecrypt, 2),
    (KeySpec::EccNistP256, KeyUsage::SignVerify, 2),
];

/// One operation, in the words of the tests.
#[derive(Debug, Clone)]
pub enum Action {
    CreateAccount(u64, &'static str),
    CreateAuthority(u8),
    CreateKey(NewKey),
    /// Account, alias and number.
    CreateManagedKey(u64, &'static str, u8),
    Enable(u8),
    Disable(u8),
    Describe(u8, String),
    Schedule(u8, u32),
    Cancel(u8),
    DeleteDue(Vec<u8>),
    CreateAlias(u64, &'static str, u8),
    UpdateAlias(u64, &'static str, u8),
    DeleteAlias(u64, &'static str),
    Tag(u8, BTreeMap<String, String>),
    Untag(u8, Vec<String>),
    EnableRotation(u8, u32),
    DisableRotation(u8),
    Rotate(u8, u8),
    RotateDue(Vec<(u8, u8)>),
    /// Key, time and operation of each.
    Uses(Vec<(u8, u64, u32)>),
    /// One of IAM's, which have a model of their own.
    Iam(Box<Operation>),
    Tick,
}

#[derive(Debug, Clone)]
pub struct NewKey {
    pub number: u8,
    pub account: u64,
    pub kind: (KeySpec, KeyUsage, u8),
    pub imported: bool,
    pub policy: &'static str,
    pub tags: BTreeMap<String, String>,
}

/// An action and what its command carries besides.
#[derive(Debug, Clone)]
pub struct Step {
    pub action: Action,
    /// The proposer's time relative to the replicated clock, in milliseconds.
    pub time: i64,
    /// How many entries ago the action was authorised.
    pub lag: u64,
    pub request: Option<u32>,
    pub access_key: Option<&'static str>,
}

impl Step {
    /// The command, for a state whose clock and index are these.
    pub fn command(&self, clock: u64, applied: u64) -> Command {
        Command {
            request_id: self.request.map(request_id).unwrap_or_default(),
            authorised_at: applied.saturating_sub(self.lag),
            access_key_id: self.access_key.unwrap_or_default().into(),
            ..command(clock.saturating_add_signed(self.time), self.action.operation())
        }
    }

    pub fn command_for(&self, view: &View) -> Command {
        self.command(view.clock().0, view.applied())
    }
}

impl Action {
    pub fn operation(&self) -> Operation {
        match self {
            Self::CreateAccount(account, access_key) => create_account(*account, access_key),
            Self::CreateAuthority(number) => create_authority(*number),
            Self::CreateKey(new) => new.operation(),
            Self::CreateManagedKey(account, name, number) => {
                let service = name.strip_prefix("alias/aws/").unwrap();
                let (account, key) = (*account, managed_key(*number, service));
                Operation::CreateManagedKey(proto::CreateManagedKey { account, ..key })
            }
            Self::Enable(key) => enable(*key),
            Self::Disable(key) => disable(*key),
            Self::Describe(key, text) => describe(*key, text),
            Self::Schedule(key, days) => schedule(*key, *days),
            Self::Cancel(key) => cancel(*key),
            Self::DeleteDue(keys) => delete_due(keys),
            Self::CreateAlias(account, name, key) => create_alias(*account, name, *key),
            Self::UpdateAlias(account, name, key) => update_alias(*account, name, *key),
            Self::DeleteAlias(account, name) => delete_alias(*account, name),
            Self::Tag(key, tags) => {
                Operation::TagKey(proto::TagKey { key: key_ref(*key), tags: tags.clone() })
            }
            Self::Untag(key, names) => {
                let tag_keys = names.clone();
                Operation::UntagKey(proto::UntagKey { key: key_ref(*key), tag_keys })
            }
            Self::EnableRotation(key, days) => enable_rotation(*key, *days),
            Self::DisableRotation(key) => disable_rotation(*key),
            Self::Rotate(key, number) => rotate(*key, *number),
            Self::RotateDue(keys) => rotate_due(keys),
            Self::Uses(uses) => {
                let uses = uses.iter().map(|&(key, at, operation)| use_of(key, at, operation));
                record_uses(uses.collect())
            }
            Self::Iam(operation) => Operation::clone(operation),
            Self::Tick => tick(),
        }
    }
}

impl NewKey {
    pub fn origin(&self) -> Origin {
        if self.imported { Origin::External } else { Origin::AwsKms }
    }

    fn operation(&self) -> Operation {
        let (spec, usage, _) = self.kind;
        Operation::CreateKey(proto::CreateKey {
            account: self.account,
            spec: spec.code().into(),
            usage: usage.code().into(),
            origin: self.origin().code().into(),
            material: (!self.imported).then(|| material(self.number)),
            policy: self.policy.into(),
            tags: self.tags.clone(),
            ..symmetric_key(self.number)
        })
    }
}

pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 0..=most)
}

/// A step that may be one of IAM's.
pub fn mixed_step() -> BoxedStrategy<Step> {
    let of_iam = iam::operation().prop_map(|operation| Action::Iam(Box::new(operation)));
    let of_iam = (of_iam, step()).prop_map(|(action, step)| Step { action, ..step });
    prop_oneof![step(), of_iam].boxed()
}

/// A few entities of IAM, and steps of both kinds.
pub fn mixed_steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let beginning = iam::beginning().into_iter().map(|first| {
        let action = Action::Iam(Box::new(first));
        Step { action, time: 0, lag: 0, request: None, access_key: None }
    });
    let beginning: Vec<_> = beginning.collect();
    let rest = proptest::collection::vec(mixed_step(), 0..=most);
    rest.prop_map(move |rest| beginning.iter().cloned().chain(rest).collect())
}

pub fn step() -> impl Strategy<Value = Step> {
    let eight_days = 8 * i64::try_from(DAY).unwrap();
    let time = prop_oneof![
        4 => Just(0),
        4 => 1..2000_i64,
        2 => Just(600_000_i64),
        2 => Just(600_001_i64),
        1 => -100_000..0_i64,
        2 => Just(eight_days),
        1 => Just(90 * 24 * 60 * 60 * 1000),
    ];
    let lag = prop_oneof![3 => Just(0_u64), 1 => 1..4_u64, 1 => Just(1000)];
    let request = prop_oneof![1 => Just(None), 1 => (0..8_u32).prop_map(Some)];
    let access_key = prop_oneof![
        3 => Just(None),
        1 => proptest::sample::select(&ANY_ACCESS_KEY[..]).prop_map(Some),
    ];
    (action(), time, lag, request, access_key).prop_map(
        |(action, time, lag, request, access_key)| Step { action, time, lag, request, access_key },
    )
}

fn action() -> impl Strategy<Value = Action> {
    let key = || 0..KEYS;
    let name = || proptest::sample::select(&NAMES[..]);
    let access_key = proptest::sample::select(&ANY_ACCESS_KEY[..]);
    let days = proptest::sample::select(vec![0_u32, 7, 8, 30, u32::MAX]);
    prop_oneof![
        1 => (owner(), access_key).prop_map(|(a, k)| Action::CreateAccount(a, k)),
        1 => (0..3_u8).prop_map(Action::CreateAuthority),
        6 => new_key().prop_map(Action::CreateKey),
        2 => (owner(), proptest::sample::select(&MANAGED[..]), key())
            .prop_map(|(a, n, k)| Action::CreateManagedKey(a, n, k)),
        2 => key().prop_map(Action::Enable),
        2 => key().prop_map(Action::Disable),
        1 => (key(), "[a-c]{0,2}").prop_map(|(key, text)| Action::Describe(key, text)),
        3 => (key(), days).prop_map(|(key, days)| Action::Schedule(key, days)),
        2 => key().prop_map(Action::Cancel),
        3 => proptest::collection::vec(key(), 0..6).prop_map(Action::DeleteDue),
        5 => (owner(), name(), key()).prop_map(|(a, n, k)| Action::CreateAlias(a, n, k)),
        4 => (owner(), name(), key()).prop_map(|(a, n, k)| Action::UpdateAlias(a, n, k)),
        2 => (owner(), name()).prop_map(|(a, n)| Action::DeleteAlias(a, n)),
        2 => (key(), tags()).prop_map(|(key, tags)| Action::Tag(key, tags)),
        1 => (key(), proptest::collection::vec("t[0-4]", 0..3))
            .prop_map(|(key, names)| Action::Untag(key, names)),
        3 => (key(), proptest::sample::select(vec![0_u32, 90, 90, 2560]))
            .prop_map(|(key, days)| Action::EnableRotation(key, days)),
        1 => key().prop_map(Action::DisableRotation),
        3 => (key(), 0..MATERIALS).prop_map(|(key, number)| Action::Rotate(key, number)),
        3 => proptest::collection::vec((key(), 0..MATERIALS), 0..6).prop_map(Action::RotateDue),
        2 => proptest::collection::vec(key_use(), 0..4).prop_map(Action::Uses),
        1 => Just(Action::Tick),
    ]
}

/// A use, not always in the past.
fn key_use() -> impl Strategy<Value = (u8, u64, u32)> {
    (0..KEYS, START..START + 10 * DAY, 1..15_u32)
}

fn new_key() -> impl Strategy<Value = NewKey> {
    (
        0..KEYS,
        owner(),
        prop_oneof![3 => Just(KINDS[0]), 2 => proptest::sample::select(&KINDS[..])],
        proptest::bool::weighted(0.2),
        proptest::sample::select(&POLICIES[..]),
        tags(),
    )
        .prop_map(|(number, account, kind, imported, policy, tags)| NewKey {
            number,
            account,
            kind,
            imported,
            policy,
            tags,
        })
}

/// Mostly one account, so that keys and aliases of the same one meet.
fn owner() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(ACCOUNTS[0]), 1 => proptest::sample::select(&ANY_ACCOUNT[..])]
}

/// A few tags, or so many that a few more are too many, or too many at once.
fn tags() -> impl Strategy<Value = BTreeMap<String, String>> {
    let many = |count: usize| (0..count).map(|n| (format!("many{n:02}"), "x".into())).collect();
    prop_oneof![
        8 => proptest::collection::btree_map("t[0-4]", "[xy]{0,1}", 0..3),
        1 => (48..=51_usize).prop_map(many),
    ]
}
