//! What each command of IAM does to the model.

use std::collections::BTreeSet;

use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::{self, EntityKind, EntityRef, Reason};

use super::super::version_created;
use super::*;

impl Model {
    pub(super) fn act(&mut self, at: u64, operation: &Operation) -> Answer<OutcomeResult> {
        match operation {
            Operation::CreateUser(op) => self.create_user(at, op)?,
            Operation::CreateGroup(op) => self.create_group(op)?,
            Operation::CreateManagedPolicy(op) => self.create_policy(op)?,
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
            _ => return self.act_on_policies(at, operation),
        }
        Ok(done())
    }

    fn act_on_policies(&mut self, at: u64, operation: &Operation) -> Answer<OutcomeResult> {
        match operation {
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

    fn create_user(&mut self, at: u64, op: &proto::CreateUser) -> Answer<()> {
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
        let user =
            ModelUser { id, account, path, name, created, tags, permissions, boundary, groups };
        self.lose(&user.id);
        self.users.insert(user.id.clone(), user);
        Ok(())
    }

    fn create_group(&mut self, op: &proto::CreateGroup) -> Answer<()> {
        ensure(good_path(&op.path), Reason::Malformed)?;
        self.free(op.account, &op.name, EntityKind::Group)?;
        ensure(!self.groups.contains_key(&op.group_id), Reason::UniqueIdExists)?;
        let (id, account) = (op.group_id.clone(), op.account);
        let (path, name) = (op.path.clone(), op.name.clone());
        let permissions = ModelPermissions::default();
        let group = ModelGroup { id, account, path, name, created: self.clock(), permissions };
        self.lose(&group.id);
        self.groups.insert(group.id.clone(), group);
        Ok(())
    }

    fn create_policy(&mut self, op: &proto::CreateManagedPolicy) -> Answer<()> {
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
        Ok(())
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
            other => self.act_on_roles(at, other)?,
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
                self.valid_after.remove(&user.id);
            }
            EntityKind::Group => {
                let group = self.group(at, account, name)?.clone();
                let member = |user: &ModelUser| user.groups.contains(&group.id);
                ensure(!self.users.values().any(member), Reason::GroupHasMembers)?;
                no_policies(&group.permissions)?;
                self.groups.remove(&group.id);
            }
            EntityKind::Role => {
                let role = self.role(at, account, name)?.clone();
                no_policies(&role.permissions)?;
                self.roles.remove(&role.id);
                // Another role of this number is another role.
                self.valid_after.remove(&role.id);
            }
            EntityKind::ManagedPolicy => {
                let policy = self.policy(at, account, name)?.clone();
                ensure(self.uses(&policy.id).is_empty(), Reason::ManagedPolicyInUse)?;
                ensure(policy.versions.len() == 1, Reason::ManagedPolicyHasVersions)?;
                self.policies.remove(&policy.id);
            }
            // Random commands are about none of the last.
            EntityKind::Unspecified | EntityKind::OidcProvider => {
                return Err(rejected(Reason::Malformed));
            }
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
            EntityKind::Role => {
                let role = self.role(at, account, name)?;
                (role.id.clone(), &mut role.tags)
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
}
