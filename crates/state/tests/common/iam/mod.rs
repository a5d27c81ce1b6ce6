//! Commands of IAM, in words, and random ones over a small world.

pub mod model;
pub mod odd;

use std::collections::BTreeMap;

use keystead_state::Command;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{self, EntityKind, EntityRef};
use proptest::prelude::*;

use super::*;

pub const OWNER: u64 = ACCOUNTS[0];
/// Names that commands use; some differ in case alone.
pub const USERS: [&str; 4] = ["alice", "Alice", "BOB", "carol"];
pub const GROUPS: [&str; 3] = ["devs", "DEVS", "ops"];
pub const ROLES: [&str; 3] = ["app", "App", "deploy"];
pub const POLICIES: [&str; 4] = ["read", "Read", "write", "all"];
/// Entities of each kind are numbered below this.
pub const NUMBERS: u8 = 4;
/// The roots' of the two accounts, and some that commands create.
pub const KEYS: [&str; 6] = [ACCESS_KEYS[0], ACCESS_KEYS[1], "AKIA0", "AKIA1", "AKIA2", "AKIA3"];

pub fn user_id(number: u8) -> String {
    format!("AIDA{number:017}")
}

pub fn group_id(number: u8) -> String {
    format!("AGPA{number:017}")
}

pub fn policy_id(number: u8) -> String {
    format!("ANPA{number:017}")
}

pub fn role_id(number: u8) -> String {
    format!("AROA{number:017}")
}

/// A trust policy that names this principal under `AWS`.
pub fn trust(principal: &str) -> String {
    format!(
        r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":"{principal}"}},"Action":"sts:AssumeRole"}}}}"#
    )
}

pub fn entity(kind: EntityKind, account: u64, name: &str) -> Option<EntityRef> {
    Some(EntityRef { kind: kind.into(), account, name: name.into() })
}

/// A user of the first account.
pub fn user(name: &str) -> Option<EntityRef> {
    entity(EntityKind::User, OWNER, name)
}

/// A group of the first account.
pub fn group(name: &str) -> Option<EntityRef> {
    entity(EntityKind::Group, OWNER, name)
}

/// A role of the first account.
pub fn role(name: &str) -> Option<EntityRef> {
    entity(EntityKind::Role, OWNER, name)
}

/// A managed policy of the first account.
pub fn managed(name: &str) -> Option<EntityRef> {
    entity(EntityKind::ManagedPolicy, OWNER, name)
}

pub fn new_user(number: u8, name: &str) -> proto::CreateUser {
    proto::CreateUser {
        user_id: user_id(number),
        account: OWNER,
        path: "/".into(),
        name: name.into(),
        tags: BTreeMap::new(),
        boundary: String::new(),
    }
}

pub fn create_user(number: u8, name: &str) -> Operation {
    Operation::CreateUser(new_user(number, name))
}

pub fn create_group(number: u8, name: &str) -> Operation {
    let (group_id, path, name) = (group_id(number), "/".into(), name.into());
    Operation::CreateGroup(proto::CreateGroup { group_id, account: OWNER, path, name })
}

/// A role that everybody may take on.
pub fn new_role(number: u8, name: &str) -> proto::CreateRole {
    proto::CreateRole {
        role_id: role_id(number),
        account: OWNER,
        path: "/".into(),
        name: name.into(),
        description: String::new(),
        max_session_seconds: 3600,
        trust_policy: trust("*"),
        tags: BTreeMap::new(),
        boundary: String::new(),
    }
}

pub fn create_role(number: u8, name: &str) -> Operation {
    Operation::CreateRole(new_role(number, name))
}

pub fn update_role(role: &str, description: Option<&str>, seconds: Option<u32>) -> Operation {
    Operation::UpdateRole(proto::UpdateRole {
        account: OWNER,
        role: role.into(),
        description: description.map(Into::into),
        max_session_seconds: seconds,
    })
}

pub fn put_trust(role: &str, trust_policy: &str) -> Operation {
    let (account, role, trust_policy) = (OWNER, role.into(), trust_policy.into());
    Operation::UpdateAssumeRolePolicy(proto::UpdateAssumeRolePolicy { account, role, trust_policy })
}

pub fn put_role_boundary(role: &str, policy: &str) -> Operation {
    let (account, role, policy) = (OWNER, role.into(), policy.into());
    Operation::PutRoleBoundary(proto::PutRoleBoundary { account, role, policy })
}

pub fn delete_role_boundary(role: &str) -> Operation {
    let (account, role) = (OWNER, role.into());
    Operation::DeleteRoleBoundary(proto::DeleteRoleBoundary { account, role })
}

/// Ends the sessions of a user, a role, or where neither is named, of the root.
pub fn revoke(user: &str, role: &str) -> Operation {
    let (account, user, role) = (OWNER, user.into(), role.into());
    Operation::RevokeSessions(proto::RevokeSessions { account, user, role })
}

pub fn new_policy(number: u8, name: &str, document: &str) -> proto::CreateManagedPolicy {
    proto::CreateManagedPolicy {
        policy_id: policy_id(number),
        account: OWNER,
        path: "/".into(),
        name: name.into(),
        description: String::new(),
        document: document.into(),
        tags: BTreeMap::new(),
    }
}

pub fn create_policy(number: u8, name: &str, document: &str) -> Operation {
    Operation::CreateManagedPolicy(new_policy(number, name, document))
}

pub fn update_entity(
    entity: Option<EntityRef>,
    new_name: Option<&str>,
    new_path: Option<&str>,
) -> Operation {
    let (new_name, new_path) = (new_name.map(Into::into), new_path.map(Into::into));
    Operation::UpdateEntity(proto::UpdateEntity { entity, new_name, new_path })
}

pub fn delete_entity(entity: Option<EntityRef>) -> Operation {
    Operation::DeleteEntity(proto::DeleteEntity { entity })
}

pub fn tag_entity(entity: Option<EntityRef>, tags: &[(&str, &str)]) -> Operation {
    let tags = tags.iter().map(|&(name, value)| (name.into(), value.into())).collect();
    Operation::TagEntity(proto::TagEntity { entity, tags })
}

pub fn untag_entity(entity: Option<EntityRef>, names: &[&str]) -> Operation {
    let tag_keys = names.iter().map(|&name| name.into()).collect();
    Operation::UntagEntity(proto::UntagEntity { entity, tag_keys })
}

pub fn put_inline(entity: Option<EntityRef>, name: &str, document: &str) -> Operation {
    let (name, document) = (name.into(), document.into());
    Operation::PutInlinePolicy(proto::PutInlinePolicy { entity, name, document })
}

pub fn delete_inline(entity: Option<EntityRef>, name: &str) -> Operation {
    Operation::DeleteInlinePolicy(proto::DeleteInlinePolicy { entity, name: name.into() })
}

pub fn attach(entity: Option<EntityRef>, policy: &str) -> Operation {
    Operation::AttachPolicy(proto::AttachPolicy { entity, policy: policy.into() })
}

pub fn detach(entity: Option<EntityRef>, policy: &str) -> Operation {
    Operation::DetachPolicy(proto::DetachPolicy { entity, policy: policy.into() })
}

pub fn put_boundary(user: &str, policy: &str) -> Operation {
    let (user, policy) = (user.into(), policy.into());
    let account = OWNER;
    Operation::PutPermissionsBoundary(proto::PutPermissionsBoundary { account, user, policy })
}

pub fn delete_boundary(user: &str) -> Operation {
    let (account, user) = (OWNER, user.into());
    Operation::DeletePermissionsBoundary(proto::DeletePermissionsBoundary { account, user })
}

pub fn join(user: &str, group: &str) -> Operation {
    let (account, user, group) = (OWNER, user.into(), group.into());
    Operation::AddUserToGroup(proto::AddUserToGroup { account, user, group })
}

pub fn leave(user: &str, group: &str) -> Operation {
    let (account, user, group) = (OWNER, user.into(), group.into());
    Operation::RemoveUserFromGroup(proto::RemoveUserFromGroup { account, user, group })
}

pub fn create_version(policy: &str, document: &str, set_as_default: bool) -> Operation {
    let (account, policy, document) = (OWNER, policy.into(), document.into());
    let version = proto::CreatePolicyVersion { account, policy, document, set_as_default };
    Operation::CreatePolicyVersion(version)
}

pub fn delete_version(policy: &str, version: u32) -> Operation {
    let (account, policy) = (OWNER, policy.into());
    Operation::DeletePolicyVersion(proto::DeletePolicyVersion { account, policy, version })
}

pub fn set_default(policy: &str, version: u32) -> Operation {
    let (account, policy) = (OWNER, policy.into());
    Operation::SetDefaultPolicyVersion(proto::SetDefaultPolicyVersion { account, policy, version })
}

pub fn create_access_key(user: &str, id: &str) -> Operation {
    let (account, user, access_key_id) = (OWNER, user.into(), id.into());
    let sealed_secret = vec![5; 60];
    let key = proto::CreateAccessKey { account, user, access_key_id, sealed_secret };
    Operation::CreateAccessKey(key)
}

pub fn update_access_key(user: &str, id: &str, active: bool) -> Operation {
    let (account, user, access_key_id) = (OWNER, user.into(), id.into());
    Operation::UpdateAccessKey(proto::UpdateAccessKey { account, user, access_key_id, active })
}

pub fn delete_access_key(user: &str, id: &str) -> Operation {
    let (account, user, access_key_id) = (OWNER, user.into(), id.into());
    Operation::DeleteAccessKey(proto::DeleteAccessKey { account, user, access_key_id })
}

pub fn suspend(account: u64, suspended: bool) -> Operation {
    Operation::SetAccountSuspended(proto::SetAccountSuspended { account, suspended })
}

pub fn version_created(version: u32) -> OutcomeResult {
    OutcomeResult::PolicyVersionCreated(proto::PolicyVersionCreated { version })
}

pub fn key_created(id: &str) -> OutcomeResult {
    OutcomeResult::AccessKeyCreated(proto::AccessKeyCreated { access_key_id: id.into() })
}

/// Who sends a command.
#[derive(Debug, Clone)]
pub enum Author {
    System,
    /// Somebody of an account with this access key.
    Key(u64, &'static str),
    /// The user of this number, of an account, perhaps with an access key.
    User(u64, u8, Option<&'static str>),
    /// The role of this number, of an account, in a session that was issued at this time.
    Session(u64, u8, u64),
}

impl Author {
    /// The command as this author sends it.
    pub fn sends(&self, authorised_at: u64, operation: Operation) -> Command {
        let plain = Command { authorised_at, ..command(0, operation) };
        match self {
            Self::System => Command { principal: "system".into(), ..plain },
            Self::Key(account, key) => Command {
                principal: format!("arn:aws:iam::{account:012}:root"),
                access_key_id: (*key).into(),
                ..plain
            },
            Self::User(account, number, key) => Command {
                principal: format!("arn:aws:iam::{account:012}:user/somebody"),
                user_id: user_id(*number),
                access_key_id: key.unwrap_or_default().into(),
                ..plain
            },
            Self::Session(account, number, issued) => Command {
                principal: format!("arn:aws:sts::{account:012}:assumed-role/some/session"),
                role_id: role_id(*number),
                session_issued_ms: *issued,
                ..plain
            },
        }
    }
}

/// A document that is as long as this, not counting the spaces in it.
pub fn document(size: usize) -> String {
    let padding = size - r#"{"Id":""}"#.len();
    format!("{{ \"Id\": \"{}\" }}\n", "x".repeat(padding))
}

pub fn author() -> BoxedStrategy<Author> {
    let key = || proptest::sample::select(&KEYS[..]);
    prop_oneof![
        16 => Just(Author::System),
        1 => (owner(), key()).prop_map(|(account, key)| Author::Key(account, key)),
        3 => (owner(), 0..NUMBERS, proptest::option::weighted(0.3, key()))
            .prop_map(|(account, number, key)| Author::User(account, number, key)),
        2 => (owner(), 0..NUMBERS, 1..80_u64)
            .prop_map(|(account, number, at)| Author::Session(account, number, model::time_at(at))),
    ]
    .boxed()
}

fn owner() -> impl Strategy<Value = u64> {
    prop_oneof![60 => Just(OWNER), 4 => Just(ACCOUNTS[1]), 1 => Just(3), 1 => Just(1 << 40)]
}

fn name(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        90 => proptest::sample::select(of).prop_map(String::from),
        1 => Just("a/b".to_owned()),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let sound = proptest::sample::select(vec!["/", "/a/", "/a/b/"]).prop_map(String::from);
    prop_oneof![30 => sound, 1 => Just("a".to_owned())]
}

fn some_document() -> BoxedStrategy<String> {
    prop_oneof![
        1 => Just(String::new()),
        30 => proptest::sample::select(vec!["{}", "{ }", "[1]"]).prop_map(String::from),
        15 => proptest::sample::select(vec![1000, 2048, 2049, 5118]).prop_map(document),
    ]
    .boxed()
}

/// Tags whose names may differ in case alone, or that are nearly too many.
fn tags() -> BoxedStrategy<BTreeMap<String, String>> {
    let many = |count: usize| (0..count).map(|n| (format!("many{n:02}"), "x".into())).collect();
    prop_oneof![
        10 => proptest::collection::btree_map("[tT][0-2]", "[xy]{0,1}", 0..3),
        1 => (48..=51_usize).prop_map(many),
    ]
    .boxed()
}

fn any_entity() -> BoxedStrategy<Option<EntityRef>> {
    let one = |kind, names| {
        (owner(), name(names)).prop_map(move |(account, name)| entity(kind, account, &name))
    };
    prop_oneof![
        30 => one(EntityKind::User, &USERS),
        20 => one(EntityKind::Group, &GROUPS),
        20 => one(EntityKind::Role, &ROLES),
        12 => one(EntityKind::ManagedPolicy, &POLICIES),
        1 => one(EntityKind::Unspecified, &USERS),
        1 => Just(None),
    ]
    .boxed()
}

/// A few of each kind, from which random commands start.
pub fn beginning() -> Vec<Operation> {
    vec![
        create_user(0, "alice"),
        create_user(1, "bob"),
        create_group(0, "devs"),
        create_group(1, "ops"),
        create_role(0, "app"),
        create_policy(0, "read", "{}"),
        create_policy(1, "write", "[1]"),
        create_policy(2, "all", "{ }"),
        create_access_key("alice", "AKIA0"),
        join("alice", "devs"),
        attach(group("devs"), "read"),
        attach(user("alice"), "write"),
        put_boundary("bob", "all"),
        attach(role("app"), "read"),
        put_role_boundary("app", "all"),
    ]
}

pub fn operation() -> BoxedStrategy<Operation> {
    prop_oneof![
        3 => creation(),
        6 => on_entity(),
        3 => on_user(),
        3 => on_role(),
        3 => on_version(),
        3 => on_access_key(),
        1 => (owner(), proptest::bool::weighted(0.3)).prop_map(|(a, s)| suspend(a, s)),
    ]
    .boxed()
}

fn creation() -> BoxedStrategy<Operation> {
    let boundary = prop_oneof![3 => Just(String::new()), 1 => name(&POLICIES)];
    prop_oneof![
        (0..=NUMBERS, owner(), path(), name(&USERS), tags(), boundary).prop_map(
            |(number, account, path, name, tags, boundary)| {
                // One number too many is no number at all.
                let user_id = if number == NUMBERS { "AIDA".into() } else { user_id(number) };
                let user = proto::CreateUser { user_id, account, path, name, tags, boundary };
                Operation::CreateUser(user)
            }
        ),
        (0..NUMBERS, owner(), path(), name(&ROLES), tags(), some_trust()).prop_map(
            |(number, account, path, name, tags, trust_policy)| {
                let role = new_role(number, &name);
                Operation::CreateRole(proto::CreateRole {
                    account,
                    path,
                    tags,
                    trust_policy,
                    boundary: if number == 1 { "all".into() } else { String::new() },
                    max_session_seconds: 3600 * u32::from(number),
                    ..role
                })
            }
        ),
        (0..NUMBERS, owner(), path(), name(&GROUPS)).prop_map(|(number, account, path, name)| {
            let group_id = group_id(number);
            Operation::CreateGroup(proto::CreateGroup { group_id, account, path, name })
        }),
        (0..NUMBERS, owner(), path(), name(&POLICIES), some_document(), tags()).prop_map(
            |(number, account, path, name, document, tags)| {
                Operation::CreateManagedPolicy(proto::CreateManagedPolicy {
                    account,
                    path,
                    tags,
                    description: "d".repeat(number.into()),
                    ..new_policy(number, &name, &document)
                })
            }
        ),
    ]
    .boxed()
}

fn on_entity() -> BoxedStrategy<Operation> {
    let new_name = proptest::option::of(prop_oneof![name(&USERS), name(&GROUPS)]);
    let inline = || name(&["in", "In", "out"]);
    prop_oneof![
        1 => (any_entity(), new_name, proptest::option::of(path()))
            .prop_map(|(e, name, path)| update_entity(e, name.as_deref(), path.as_deref())),
        1 => any_entity().prop_map(delete_entity),
        2 => (any_entity(), tags())
            .prop_map(|(entity, tags)| Operation::TagEntity(proto::TagEntity { entity, tags })),
        1 => (any_entity(), proptest::collection::vec("[tT][0-2]", 0..3)).prop_map(
            |(entity, tag_keys)| Operation::UntagEntity(proto::UntagEntity { entity, tag_keys })
        ),
        3 => (any_entity(), inline(), some_document()).prop_map(|(e, n, d)| put_inline(e, &n, &d)),
        2 => (any_entity(), inline()).prop_map(|(e, n)| delete_inline(e, &n)),
        4 => (any_entity(), name(&POLICIES)).prop_map(|(e, p)| attach(e, &p)),
        3 => (any_entity(), name(&POLICIES)).prop_map(|(e, p)| detach(e, &p)),
    ]
    .boxed()
}

fn on_user() -> BoxedStrategy<Operation> {
    (owner(), name(&USERS), name(&GROUPS), name(&POLICIES), 0..7_u8)
        .prop_map(|(account, user, group, policy, which)| match which {
            0 | 1 => Operation::PutPermissionsBoundary(proto::PutPermissionsBoundary {
                account,
                user,
                policy,
            }),
            2 => Operation::DeletePermissionsBoundary(proto::DeletePermissionsBoundary {
                account,
                user,
            }),
            3 | 4 => Operation::AddUserToGroup(proto::AddUserToGroup { account, user, group }),
            _ => {
                Operation::RemoveUserFromGroup(proto::RemoveUserFromGroup { account, user, group })
            }
        })
        .boxed()
}

/// Of somebody who is there, who may not be there, who never is, and none at all.
fn some_trust() -> impl Strategy<Value = String> {
    let named = ["*", "arn:aws:iam::111122223333:user/alice", "111122223333", "999999999999"];
    let trust = proptest::sample::select(named.map(trust).to_vec());
    prop_oneof![9 => trust, 1 => Just("{}".to_owned())]
}

fn on_role() -> BoxedStrategy<Operation> {
    let description = proptest::option::of("[ab]{0,2}");
    let seconds = proptest::option::of(proptest::sample::select(vec![3599, 3600, 43200, 43201]));
    let sessions_of = (prop_oneof![Just(String::new()), name(&USERS)], any::<bool>());
    (
        owner(),
        name(&ROLES),
        name(&POLICIES),
        some_trust(),
        (description, seconds),
        sessions_of,
        0..7,
    )
        .prop_map(
            |(account, role, policy, trust_policy, update, (user, both), which)| match which {
                0 | 1 => {
                    Operation::PutRoleBoundary(proto::PutRoleBoundary { account, role, policy })
                }
                2 => Operation::DeleteRoleBoundary(proto::DeleteRoleBoundary { account, role }),
                3 => Operation::UpdateAssumeRolePolicy(proto::UpdateAssumeRolePolicy {
                    account,
                    role,
                    trust_policy,
                }),
                4 | 5 => Operation::RevokeSessions(proto::RevokeSessions {
                    account,
                    role: if both || user.is_empty() { role } else { String::new() },
                    user,
                }),
                _ => Operation::UpdateRole(proto::UpdateRole {
                    account,
                    role,
                    description: update.0,
                    max_session_seconds: update.1,
                }),
            },
        )
        .boxed()
}

fn on_version() -> BoxedStrategy<Operation> {
    (owner(), name(&POLICIES), some_document(), any::<bool>(), 0..9_u32, 0..5_u8)
        .prop_map(|(account, policy, document, set_as_default, version, which)| match which {
            0..3 => Operation::CreatePolicyVersion(proto::CreatePolicyVersion {
                account,
                policy,
                document,
                set_as_default,
            }),
            3 => Operation::DeletePolicyVersion(proto::DeletePolicyVersion {
                account,
                policy,
                version,
            }),
            _ => Operation::SetDefaultPolicyVersion(proto::SetDefaultPolicyVersion {
                account,
                policy,
                version,
            }),
        })
        .boxed()
}

fn on_access_key() -> BoxedStrategy<Operation> {
    let user = prop_oneof![1 => Just(String::new()), 3 => name(&USERS)];
    (owner(), user, name(&KEYS), any::<bool>(), 0..6_u8)
        .prop_map(|(account, user, access_key_id, active, which)| match which {
            0..3 => Operation::CreateAccessKey(proto::CreateAccessKey {
                account,
                user,
                access_key_id,
                sealed_secret: vec![6; 60],
            }),
            3 | 4 => Operation::UpdateAccessKey(proto::UpdateAccessKey {
                account,
                user,
                access_key_id,
                active,
            }),
            _ => {
                Operation::DeleteAccessKey(proto::DeleteAccessKey { account, user, access_key_id })
            }
        })
        .boxed()
}
