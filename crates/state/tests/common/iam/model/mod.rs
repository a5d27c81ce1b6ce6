//! IAM without a single index: entities in plain maps, looked for by looking at all of them, and a
//! journal of when what lost a right.

mod commands;
mod roles;

use std::collections::{BTreeMap, BTreeSet};

use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::{EntityKind, EntityRef, Reason};

use super::super::{ACCESS_KEYS, ACCOUNTS, START, done, rejected, stale};
use super::{Author, role_id, user_id};

pub type Tags = BTreeMap<String, String>;
type Answer<T> = Result<T, OutcomeResult>;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelPermissions {
    pub inline: BTreeMap<String, String>,
    pub attached: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ModelUser {
    pub id: String,
    pub account: u64,
    pub path: String,
    pub name: String,
    pub created: u64,
    pub tags: Tags,
    pub permissions: ModelPermissions,
    pub boundary: Option<String>,
    pub groups: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ModelRole {
    pub id: String,
    pub account: u64,
    pub path: String,
    pub name: String,
    pub description: String,
    pub seconds: u32,
    /// The text, and whom it is bound to.
    pub trust: (String, Option<String>),
    pub created: u64,
    pub tags: Tags,
    pub permissions: ModelPermissions,
    pub boundary: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ModelGroup {
    pub id: String,
    pub account: u64,
    pub path: String,
    pub name: String,
    pub created: u64,
    pub permissions: ModelPermissions,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ModelPolicy {
    pub id: String,
    pub account: u64,
    pub path: String,
    pub name: String,
    pub description: String,
    pub created: u64,
    pub updated: u64,
    /// Document and time of each.
    pub versions: BTreeMap<u32, (String, u64)>,
    pub default: u32,
    pub latest: u32,
    pub tags: Tags,
}

#[derive(Debug, Clone)]
pub struct ModelKey {
    pub account: u64,
    pub user: Option<String>,
    pub active: bool,
    pub set_at: u64,
    pub deactivated_at: u64,
}

/// The time that the command at an index brings.
pub fn time_at(index: u64) -> u64 {
    START + 1000 * index
}

pub struct Model {
    index: u64,
    pub suspended: BTreeSet<u64>,
    pub users: BTreeMap<String, ModelUser>,
    pub groups: BTreeMap<String, ModelGroup>,
    pub roles: BTreeMap<String, ModelRole>,
    /// From when on sessions count, by the id of the user or role, or by account.
    pub valid_after: BTreeMap<String, u64>,
    pub policies: BTreeMap<String, ModelPolicy>,
    pub keys: BTreeMap<String, ModelKey>,
    /// When an entity or account last lost a right, by its id.
    lost: BTreeMap<String, u64>,
}

impl ModelPolicy {
    pub fn in_force(&self) -> (String, String) {
        let arn = format!("arn:aws:iam::{:012}:policy{}{}", self.account, self.path, self.name);
        (arn, self.versions[&self.default].0.clone())
    }
}

impl Model {
    /// The model of `Replica::initialised`.
    pub fn initialised() -> Self {
        let root = |(account, set_at)| ModelKey {
            account,
            user: None,
            active: true,
            set_at,
            deactivated_at: 0,
        };
        let roots = ACCOUNTS.into_iter().zip(2..).map(root);
        Self {
            index: 3,
            suspended: BTreeSet::new(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            roles: BTreeMap::new(),
            valid_after: BTreeMap::new(),
            policies: BTreeMap::new(),
            keys: ACCESS_KEYS.map(String::from).into_iter().zip(roots).collect(),
            lost: BTreeMap::new(),
        }
    }

    /// The time of the present command, see [`time_at`].
    fn clock(&self) -> u64 {
        time_at(self.index)
    }

    pub fn lost_at(&self, id: &str) -> u64 {
        self.lost.get(id).copied().unwrap_or_default()
    }

    /// Every document that something has.
    pub fn documents(&self) -> BTreeSet<(bool, &String, Option<&String>)> {
        let users = self.users.values().map(|user| &user.permissions);
        let roles = self.roles.values().map(|role| &role.permissions);
        let holders = users.chain(self.groups.values().map(|group| &group.permissions));
        let holders = holders.chain(roles);
        let inline = holders.flat_map(|permissions| permissions.inline.values());
        let versions = self.policies.values().flat_map(|policy| policy.versions.values());
        let plain = inline.chain(versions.map(|(document, _)| document));
        let trust = self.roles.values().map(|role| (true, &role.trust.0, role.trust.1.as_ref()));
        plain.map(|document| (false, document, None)).chain(trust).collect()
    }

    /// Who uses a managed policy: users, groups, bounded users, roles, bounded roles.
    pub fn uses(&self, policy: &str) -> Vec<String> {
        let mut uses = Vec::new();
        for user in self.users.values() {
            if user.permissions.attached.contains(policy) {
                uses.push(format!("1 {}", user.id));
            }
            if user.boundary.as_deref() == Some(policy) {
                uses.push(format!("3 {}", user.id));
            }
        }
        for role in self.roles.values() {
            if role.permissions.attached.contains(policy) {
                uses.push(format!("4 {}", role.id));
            }
            if role.boundary.as_deref() == Some(policy) {
                uses.push(format!("5 {}", role.id));
            }
        }
        let groups = self.groups.values().filter(|g| g.permissions.attached.contains(policy));
        uses.extend(groups.map(|group| format!("2 {}", group.id)));
        uses.sort();
        uses
    }

    /// Names and documents of all that says what a user may do.
    pub fn identity_policies(&self, user: &ModelUser) -> Vec<(String, String)> {
        let mut holders = vec![(format!("user/{}", user.name), &user.permissions)];
        for id in &user.groups {
            let group = &self.groups[id];
            holders.push((format!("group/{}", group.name), &group.permissions));
        }
        let mut all = Vec::new();
        for (of, permissions) in holders {
            let inline = permissions.inline.iter();
            all.extend(inline.map(|(name, text)| (format!("{of}/{name}"), text.clone())));
            all.extend(permissions.attached.iter().map(|id| self.policies[id].in_force()));
        }
        all
    }

    pub fn step(&mut self, at: u64, author: &Author, operation: &Operation) -> OutcomeResult {
        self.index += 1;
        if !self.may_ask(at, author) {
            return stale();
        }
        self.act(at, operation).unwrap_or_else(|refusal| refusal)
    }

    /// Whether nothing that an author's rights hang on lost one since.
    fn may_ask(&self, at: u64, author: &Author) -> bool {
        let (account, user, key) = match author {
            Author::System => return true,
            Author::Key(account, key) => (*account, None, Some(*key)),
            Author::User(account, number, key) => (*account, Some(user_id(*number)), *key),
            Author::Session(account, number, issued) => {
                return self.may_ask_in_session(at, *account, &role_id(*number), *issued);
            }
        };
        let mut hangs_on = BTreeSet::new();
        let mut accounts = vec![account];
        if let Some(id) = key {
            let Some(key) = self.keys.get(id) else { return false };
            if !key.active || key.set_at > at || key.deactivated_at > at || key.user != user {
                return false;
            }
            accounts.push(key.account);
        }
        if let Some(id) = user {
            let Some(user) = self.users.get(&id) else { return false };
            accounts.push(user.account);
            hangs_on.insert(id);
            hangs_on.extend(user.permissions.attached.iter().cloned());
            hangs_on.extend(user.boundary.iter().cloned());
            for id in &user.groups {
                hangs_on.insert(id.clone());
                hangs_on.extend(self.groups[id].permissions.attached.iter().cloned());
            }
        }
        hangs_on.extend(accounts.iter().map(ToString::to_string));
        !accounts.iter().any(|account| self.suspended.contains(account))
            && hangs_on.iter().all(|id| self.lost_at(id) <= at)
    }

    fn may_ask_in_session(&self, at: u64, account: u64, role: &str, issued: u64) -> bool {
        let Some(role) = self.roles.get(role) else { return false };
        let accounts = [account, role.account];
        let mut hangs_on: BTreeSet<_> = role.permissions.attached.iter().cloned().collect();
        hangs_on.extend(role.boundary.iter().cloned());
        hangs_on.insert(role.id.clone());
        hangs_on.extend(accounts.iter().map(ToString::to_string));
        !accounts.iter().any(|account| self.suspended.contains(account))
            && hangs_on.iter().all(|id| self.lost_at(id) <= at)
            && self.valid_after.get(&role.id).is_none_or(|from| issued >= *from)
    }

    fn role(&mut self, at: u64, account: u64, name: &str) -> Answer<&mut ModelRole> {
        found(account, name)?;
        let role = self.roles.values().find(|r| r.account == account && same(&r.name, name));
        let id = role.ok_or(rejected(Reason::RoleNotFound))?.id.clone();
        self.fresh(at, &id)?;
        Ok(self.roles.get_mut(&id).unwrap())
    }

    fn user(&mut self, at: u64, account: u64, name: &str) -> Answer<&mut ModelUser> {
        found(account, name)?;
        let user = self.users.values().find(|u| u.account == account && same(&u.name, name));
        let id = user.ok_or(rejected(Reason::UserNotFound))?.id.clone();
        self.fresh(at, &id)?;
        Ok(self.users.get_mut(&id).unwrap())
    }

    fn group(&mut self, at: u64, account: u64, name: &str) -> Answer<&mut ModelGroup> {
        found(account, name)?;
        let group = self.groups.values().find(|g| g.account == account && same(&g.name, name));
        let id = group.ok_or(rejected(Reason::GroupNotFound))?.id.clone();
        self.fresh(at, &id)?;
        Ok(self.groups.get_mut(&id).unwrap())
    }

    fn policy(&mut self, at: u64, account: u64, name: &str) -> Answer<&mut ModelPolicy> {
        found(account, name)?;
        let policy = self.policies.values().find(|p| p.account == account && same(&p.name, name));
        let id = policy.ok_or(rejected(Reason::ManagedPolicyNotFound))?.id.clone();
        self.fresh(at, &id)?;
        Ok(self.policies.get_mut(&id).unwrap())
    }

    /// A user, a group or a role: its id, the limit of its inline policies, all its policies.
    fn holder(
        &mut self,
        at: u64,
        entity: Option<&EntityRef>,
    ) -> Answer<(String, usize, &mut ModelPermissions)> {
        let (kind, account, name) = parts(entity)?;
        match kind {
            EntityKind::User => {
                let user = self.user(at, account, name)?;
                Ok((user.id.clone(), 2048, &mut user.permissions))
            }
            EntityKind::Group => {
                let group = self.group(at, account, name)?;
                Ok((group.id.clone(), 5120, &mut group.permissions))
            }
            EntityKind::Role => {
                let role = self.role(at, account, name)?;
                Ok((role.id.clone(), 10240, &mut role.permissions))
            }
            _ => Err(rejected(Reason::Malformed)),
        }
    }

    fn key_owner(&mut self, at: u64, account: u64, user: &str) -> Answer<Option<String>> {
        if user.is_empty() {
            return exists(account).map(|()| None);
        }
        self.user(at, account, user).map(|user| Some(user.id.clone()))
    }

    fn key(&mut self, at: u64, account: u64, user: &str, id: &str) -> Answer<&mut ModelKey> {
        ensure(good_name(id), Reason::Malformed)?;
        let owner = self.key_owner(at, account, user)?;
        let key = self.keys.get_mut(id).filter(|key| key.account == account && key.user == owner);
        key.ok_or(rejected(Reason::AccessKeyNotFound))
    }

    /// Whether a name may be given to something new.
    fn free(&self, account: u64, name: &str, kind: EntityKind) -> Answer<()> {
        found(account, name)?;
        let taken = |owner: u64, other: &str| owner == account && same(other, name);
        let (taken, reason) = match kind {
            EntityKind::User => {
                (self.users.values().any(|u| taken(u.account, &u.name)), Reason::UserExists)
            }
            EntityKind::Group => {
                (self.groups.values().any(|g| taken(g.account, &g.name)), Reason::GroupExists)
            }
            EntityKind::Role => {
                (self.roles.values().any(|r| taken(r.account, &r.name)), Reason::RoleExists)
            }
            _ => {
                let any = self.policies.values().any(|p| taken(p.account, &p.name));
                (any, Reason::ManagedPolicyExists)
            }
        };
        ensure(!taken, reason)
    }

    fn fresh(&self, at: u64, id: &str) -> Answer<()> {
        if self.lost_at(id) > at { Err(stale()) } else { Ok(()) }
    }

    fn lose(&mut self, id: &str) {
        self.lost.insert(id.to_owned(), self.index);
    }
}

fn ensure(holds: bool, reason: Reason) -> Answer<()> {
    if holds { Ok(()) } else { Err(rejected(reason)) }
}

fn parts(entity: Option<&EntityRef>) -> Answer<(EntityKind, u64, &str)> {
    let entity = entity.ok_or(rejected(Reason::Malformed))?;
    Ok((entity.kind(), entity.account, entity.name.as_str()))
}

/// Names of the tests are sound but for those with a slash.
fn good_name(name: &str) -> bool {
    !name.contains('/')
}

fn good_path(path: &str) -> bool {
    path.starts_with('/')
}

fn found(account: u64, name: &str) -> Answer<()> {
    ensure(good_name(name), Reason::Malformed)?;
    exists(account)
}

fn exists(account: u64) -> Answer<()> {
    ensure(account < 1_000_000_000_000, Reason::Malformed)?;
    ensure(ACCOUNTS.contains(&account), Reason::AccountNotFound)
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

fn no_policies(permissions: &ModelPermissions) -> Answer<()> {
    ensure(permissions.inline.is_empty(), Reason::HasInlinePolicies)?;
    ensure(permissions.attached.is_empty(), Reason::HasAttachedPolicies)
}

fn add_tags(tags: &mut Tags, new: &Tags) -> Answer<()> {
    for name in new.keys() {
        let twice = new.keys().any(|other| other != name && same(other, name));
        ensure(!twice, Reason::DuplicateTagKeys)?;
        tags.retain(|old, _| !same(old, name));
    }
    tags.extend(new.clone());
    ensure(tags.len() <= 50, Reason::EntityTagLimit)
}
