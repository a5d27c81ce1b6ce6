//! IAM without a single index: entities in plain maps, looked for by looking at all of them, and a
//! journal of when what lost a right.

use std::collections::{BTreeMap, BTreeSet};

use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::{self, EntityKind, EntityRef, Reason};

use super::super::{ACCESS_KEYS, ACCOUNTS, START, done, rejected, stale};
use super::{Author, user_id, version_created};

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
    pub fn documents(&self) -> BTreeSet<&String> {
        let users = self.users.values().map(|user| &user.permissions);
        let holders = users.chain(self.groups.values().map(|group| &group.permissions));
        let inline = holders.flat_map(|permissions| permissions.inline.values());
        let versions = self.policies.values().flat_map(|policy| policy.versions.values());
        inline.chain(versions.map(|(document, _)| document)).collect()
    }

    /// Who uses a managed policy: users, groups, bounded users.
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

    fn act(&mut self, at: u64, operation: &Operation) -> Answer<OutcomeResult> {
        match operation {
            Operation::CreateUser(op) => {
                ensure(op.user_id.len() == 21 && good_path(&op.path), Reason::Malformed)?;
                self.free(op.account, &op.name, EntityKind::User)?;
                ensure(!self.users.contains_key(&op.user_id), Reason::UniqueIdExists)?;
                let boundary = match op.boundary.as_str() {
                    "" => None,
                    name => Some(self.policy(at, op.account, name)?.id.clone()),
                };
                let mut tags = Tags::new();
                add_tags(&mut tags, &op.tags)?;
                let (id, account) = (op.user_id.clone(), op.account);
                let (path, name) = (op.path.clone(), op.name.clone());
                let permissions = ModelPermissions::default();
                let (created, groups) = (self.clock(), BTreeSet::new());
                let user = ModelUser {
                    id,
                    account,
                    path,
                    name,
                    created,
                    tags,
                    permissions,
                    boundary,
                    groups,
                };
                self.lose(&user.id);
                self.users.insert(user.id.clone(), user);
            }
            Operation::CreateGroup(op) => {
                ensure(good_path(&op.path), Reason::Malformed)?;
                self.free(op.account, &op.name, EntityKind::Group)?;
                ensure(!self.groups.contains_key(&op.group_id), Reason::UniqueIdExists)?;
                let (id, account) = (op.group_id.clone(), op.account);
                let (path, name) = (op.path.clone(), op.name.clone());
                let permissions = ModelPermissions::default();
                let group =
                    ModelGroup { id, account, path, name, created: self.clock(), permissions };
                self.lose(&group.id);
                self.groups.insert(group.id.clone(), group);
            }
            Operation::CreateManagedPolicy(op) => {
                let sound = good_path(&op.path) && !op.document.is_empty();
                ensure(sound, Reason::Malformed)?;
                self.free(op.account, &op.name, EntityKind::ManagedPolicy)?;
                ensure(!self.policies.contains_key(&op.policy_id), Reason::UniqueIdExists)?;
                let mut tags = Tags::new();
                add_tags(&mut tags, &op.tags)?;
                let policy = ModelPolicy {
                    id: op.policy_id.clone(),
                    account: op.account,
                    path: op.path.clone(),
                    name: op.name.clone(),
                    description: op.description.clone(),
                    created: self.clock(),
                    updated: self.clock(),
                    versions: [(1, (op.document.clone(), self.clock()))].into(),
                    default: 1,
                    latest: 1,
                    tags,
                };
                self.lose(&policy.id);
                self.policies.insert(policy.id.clone(), policy);
            }
            Operation::UpdateEntity(op) => {
                let (name, path) = (op.new_name.as_deref(), op.new_path.as_deref());
                self.update(at, op.entity.as_ref(), name, path)?;
            }
            Operation::DeleteEntity(op) => self.delete(at, op.entity.as_ref())?,
            Operation::TagEntity(op) => {
                self.change_tags(at, op.entity.as_ref(), |tags| add_tags(tags, &op.tags))?;
            }
            Operation::UntagEntity(op) => self.change_tags(at, op.entity.as_ref(), |tags| {
                let gone = |name: &String| op.tag_keys.iter().any(|key| same(key, name));
                tags.retain(|name, _| !gone(name));
                Ok(())
            })?,
            Operation::PutInlinePolicy(op) => {
                ensure(good_name(&op.name) && !op.document.is_empty(), Reason::Malformed)?;
                let (id, limit, permissions) = self.holder(at, op.entity.as_ref())?;
                let mut inline = permissions.inline.clone();
                inline.insert(op.name.clone(), op.document.clone());
                let all: String = inline.values().cloned().collect();
                let size = all.split_whitespace().map(|part| part.chars().count()).sum::<usize>();
                ensure(size <= limit, Reason::InlinePoliciesTooLong)?;
                permissions.inline = inline;
                self.lose(&id);
            }
            Operation::DeleteInlinePolicy(op) => {
                ensure(good_name(&op.name), Reason::Malformed)?;
                let (id, _, permissions) = self.holder(at, op.entity.as_ref())?;
                let there = permissions.inline.remove(&op.name).is_some();
                ensure(there, Reason::InlinePolicyNotFound)?;
                self.lose(&id);
            }
            Operation::AttachPolicy(op) => {
                let (id, ..) = self.holder(at, op.entity.as_ref())?;
                let account = op.entity.as_ref().unwrap().account;
                let policy = self.policy(at, account, &op.policy)?.id.clone();
                if self.holder(at, op.entity.as_ref())?.2.attached.insert(policy) {
                    self.lose(&id);
                }
            }
            Operation::DetachPolicy(op) => {
                let (id, ..) = self.holder(at, op.entity.as_ref())?;
                let account = op.entity.as_ref().unwrap().account;
                let policy = self.policy(at, account, &op.policy)?.id.clone();
                let there = self.holder(at, op.entity.as_ref())?.2.attached.remove(&policy);
                ensure(there, Reason::PolicyNotAttached)?;
                self.lose(&id);
            }
            _ => return self.act_on_users_and_versions(at, operation),
        }
        Ok(done())
    }

    fn act_on_users_and_versions(&mut self, at: u64, op: &Operation) -> Answer<OutcomeResult> {
        match op {
            Operation::PutPermissionsBoundary(op) => {
                self.user(at, op.account, &op.user)?;
                let policy = self.policy(at, op.account, &op.policy)?.id.clone();
                self.bound(at, op.account, &op.user, Some(policy))?;
            }
            Operation::DeletePermissionsBoundary(op) => {
                self.bound(at, op.account, &op.user, None)?;
            }
            Operation::AddUserToGroup(op) => {
                let group = self.group(at, op.account, &op.group)?.id.clone();
                let user = self.user(at, op.account, &op.user)?;
                let id = user.id.clone();
                if user.groups.insert(group) {
                    self.lose(&id);
                }
            }
            Operation::RemoveUserFromGroup(op) => {
                let group = self.group(at, op.account, &op.group)?.id.clone();
                let user = self.user(at, op.account, &op.user)?;
                let id = user.id.clone();
                if user.groups.remove(&group) {
                    self.lose(&id);
                }
            }
            Operation::CreatePolicyVersion(op) => {
                ensure(!op.document.is_empty(), Reason::Malformed)?;
                let clock = self.clock();
                let policy = self.policy(at, op.account, &op.policy)?;
                ensure(policy.versions.len() < 5, Reason::PolicyVersionLimit)?;
                policy.latest += 1;
                policy.versions.insert(policy.latest, (op.document.clone(), clock));
                policy.updated = clock;
                let (id, number) = (policy.id.clone(), policy.latest);
                if op.set_as_default {
                    policy.default = number;
                    self.lose(&id);
                }
                return Ok(version_created(number));
            }
            Operation::DeletePolicyVersion(op) => {
                let clock = self.clock();
                let policy = self.policy(at, op.account, &op.policy)?;
                let there = policy.versions.contains_key(&op.version);
                ensure(there, Reason::PolicyVersionNotFound)?;
                ensure(policy.default != op.version, Reason::PolicyVersionIsDefault)?;
                policy.versions.remove(&op.version);
                policy.updated = clock;
            }
            Operation::SetDefaultPolicyVersion(op) => {
                let clock = self.clock();
                let policy = self.policy(at, op.account, &op.policy)?;
                let there = policy.versions.contains_key(&op.version);
                ensure(there, Reason::PolicyVersionNotFound)?;
                if policy.default != op.version {
                    policy.default = op.version;
                    policy.updated = clock;
                    let id = policy.id.clone();
                    self.lose(&id);
                }
            }
            _ => return self.act_on_access_keys(at, op),
        }
        Ok(done())
    }

    fn act_on_access_keys(&mut self, at: u64, op: &Operation) -> Answer<OutcomeResult> {
        let index = self.index;
        match op {
            Operation::CreateAccessKey(op) => {
                ensure(good_name(&op.access_key_id), Reason::Malformed)?;
                let user = self.key_owner(at, op.account, &op.user)?;
                let exists = self.keys.contains_key(&op.access_key_id);
                ensure(!exists, Reason::AccessKeyExists)?;
                let of_owner = |key: &&ModelKey| key.account == op.account && key.user == user;
                ensure(self.keys.values().filter(of_owner).count() < 2, Reason::AccessKeyLimit)?;
                let (account, active) = (op.account, true);
                let key = ModelKey { account, user, active, set_at: index, deactivated_at: 0 };
                let access_key_id = op.access_key_id.clone();
                self.keys.insert(access_key_id.clone(), key);
                let created = proto::AccessKeyCreated { access_key_id };
                return Ok(OutcomeResult::AccessKeyCreated(created));
            }
            Operation::UpdateAccessKey(op) => {
                let key = self.key(at, op.account, &op.user, &op.access_key_id)?;
                if key.active && !op.active {
                    key.deactivated_at = index;
                }
                key.active = op.active;
            }
            Operation::DeleteAccessKey(op) => {
                self.key(at, op.account, &op.user, &op.access_key_id)?;
                self.keys.remove(&op.access_key_id);
            }
            Operation::SetAccountSuspended(op) => {
                exists(op.account)?;
                if !op.suspended {
                    self.suspended.remove(&op.account);
                } else if self.suspended.insert(op.account) {
                    self.lose(&op.account.to_string());
                }
            }
            other => panic!("not of IAM: {other:?}"),
        }
        Ok(done())
    }

    fn update(
        &mut self,
        at: u64,
        entity: Option<&EntityRef>,
        new_name: Option<&str>,
        new_path: Option<&str>,
    ) -> Answer<()> {
        let (kind, account, name) = parts(entity)?;
        let sound = new_name.is_none_or(good_name) && new_path.is_none_or(good_path);
        let id = match kind {
            EntityKind::User => self.user(at, account, name)?.id.clone(),
            EntityKind::Group => self.group(at, account, name)?.id.clone(),
            _ => return Err(rejected(Reason::Malformed)),
        };
        ensure(sound, Reason::Malformed)?;
        if let Some(new_name) = new_name {
            // Its own name, whatever the case, is no obstacle.
            if !same(new_name, name) {
                self.free(account, new_name, kind)?;
            }
        }
        let (name, path) = match kind {
            EntityKind::User => {
                let user = self.users.get_mut(&id).unwrap();
                (&mut user.name, &mut user.path)
            }
            _ => {
                let group = self.groups.get_mut(&id).unwrap();
                (&mut group.name, &mut group.path)
            }
        };
        *name = new_name.unwrap_or(name).to_owned();
        *path = new_path.unwrap_or(path).to_owned();
        self.lose(&id);
        Ok(())
    }

    fn delete(&mut self, at: u64, entity: Option<&EntityRef>) -> Answer<()> {
        let (kind, account, name) = parts(entity)?;
        match kind {
            EntityKind::User => {
                let user = self.user(at, account, name)?.clone();
                let owns = |key: &ModelKey| key.user.as_ref() == Some(&user.id);
                ensure(!self.keys.values().any(owns), Reason::UserHasAccessKeys)?;
                no_policies(&user.permissions)?;
                ensure(user.groups.is_empty(), Reason::UserInGroups)?;
                self.users.remove(&user.id);
            }
            EntityKind::Group => {
                let group = self.group(at, account, name)?.clone();
                let member = |user: &ModelUser| user.groups.contains(&group.id);
                ensure(!self.users.values().any(member), Reason::GroupHasMembers)?;
                no_policies(&group.permissions)?;
                self.groups.remove(&group.id);
            }
            EntityKind::ManagedPolicy => {
                let policy = self.policy(at, account, name)?.clone();
                ensure(self.uses(&policy.id).is_empty(), Reason::ManagedPolicyInUse)?;
                ensure(policy.versions.len() == 1, Reason::ManagedPolicyHasVersions)?;
                self.policies.remove(&policy.id);
            }
            EntityKind::Unspecified => return Err(rejected(Reason::Malformed)),
        }
        Ok(())
    }

    fn change_tags(
        &mut self,
        at: u64,
        entity: Option<&EntityRef>,
        change: impl FnOnce(&mut Tags) -> Answer<()>,
    ) -> Answer<()> {
        let (kind, account, name) = parts(entity)?;
        let (id, tags) = match kind {
            EntityKind::User => {
                let user = self.user(at, account, name)?;
                (user.id.clone(), &mut user.tags)
            }
            EntityKind::ManagedPolicy => {
                let policy = self.policy(at, account, name)?;
                (policy.id.clone(), &mut policy.tags)
            }
            _ => return Err(rejected(Reason::Malformed)),
        };
        let mut changed = tags.clone();
        change(&mut changed)?;
        *tags = changed;
        self.lose(&id);
        Ok(())
    }

    fn bound(&mut self, at: u64, account: u64, name: &str, to: Option<String>) -> Answer<()> {
        let user = self.user(at, account, name)?;
        if user.boundary != to {
            user.boundary = to;
            let id = user.id.clone();
            self.lose(&id);
        }
        Ok(())
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

    /// A user or a group: its id, the limit of its inline policies, all its policies.
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
