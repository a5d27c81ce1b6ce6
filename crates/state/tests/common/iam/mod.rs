//! Commands of IAM, in words.

pub mod model;
pub mod odd;
mod random;

use std::collections::BTreeMap;

use keystead_state::Command;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{self, EntityKind, EntityRef};
use proptest::prelude::*;

use super::*;
pub use random::*;

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

pub fn provider_id(number: u8) -> String {
    format!("AOIP{number:017}")
}

/// An OIDC provider of the first account.
pub fn provider(issuer: &str) -> Option<EntityRef> {
    entity(EntityKind::OidcProvider, OWNER, issuer)
}

pub fn new_provider(number: u8, issuer: &str) -> proto::CreateOidcProvider {
    proto::CreateOidcProvider {
        provider_id: provider_id(number),
        account: OWNER,
        issuer: issuer.into(),
        client_ids: vec!["one".into()],
        thumbprints: Vec::new(),
        tags: BTreeMap::new(),
    }
}

pub fn create_provider(number: u8, issuer: &str) -> Operation {
    Operation::CreateOidcProvider(new_provider(number, issuer))
}

pub fn add_client_id(issuer: &str, client_id: &str) -> Operation {
    let (account, issuer, client_id) = (OWNER, issuer.into(), client_id.into());
    Operation::AddClientId(proto::AddClientId { account, issuer, client_id })
}

pub fn remove_client_id(issuer: &str, client_id: &str) -> Operation {
    let (account, issuer, client_id) = (OWNER, issuer.into(), client_id.into());
    Operation::RemoveClientId(proto::RemoveClientId { account, issuer, client_id })
}

pub fn put_thumbprints(issuer: &str, thumbprints: &[&str]) -> Operation {
    let thumbprints = thumbprints.iter().map(|&text| text.into()).collect();
    let (account, issuer) = (OWNER, issuer.into());
    Operation::PutThumbprints(proto::PutThumbprints { account, issuer, thumbprints })
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
