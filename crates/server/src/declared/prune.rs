//! What a declared account has that is not declared, and goes.

use keystead_api::iam;
use keystead_state::{Permissions, User};

use super::entities::leave;
use super::planner::AccountPlanner;
use super::requests;
use super::step::{Entity, Kind};

impl AccountPlanner<'_, '_, '_> {
    /// Deletes every entity that is not declared, whose own policies, memberships and access keys
    /// are in the way of that.
    pub(super) fn prune(&mut self) {
        let (view, account, wanted) = (self.view, self.account, self.wanted);
        for user in view.users_of(account, None) {
            if !declared(wanted.users.iter().map(|user| &user.name), user.name.as_str()) {
                self.prune_user(user);
            }
        }
        for role in view.roles_of(account, None) {
            if !declared(wanted.roles.iter().map(|role| &role.name), role.name.as_str()) {
                let entity = Entity::new(Kind::Role, &role.name);
                self.prune_permissions(&entity, &role.permissions);
                self.push(self.delete(&entity, requests::delete(&entity)));
            }
        }
        for group in view.groups_of(account, None) {
            if !declared(wanted.groups.iter().map(|group| &group.name), group.name.as_str()) {
                let entity = Entity::new(Kind::Group, &group.name);
                self.prune_permissions(&entity, &group.permissions);
                self.push(self.delete(&entity, requests::delete(&entity)));
            }
        }
        self.prune_providers();
        for policy in view.managed_policies_of(account, None) {
            if declared(wanted.policies.iter().map(|policy| &policy.name), policy.name.as_str()) {
                continue;
            }
            let entity = Entity::new(Kind::Policy, &policy.name);
            let policy_arn = Some(policy.arn().to_string());
            for version in policy.versions.iter().filter(|v| v.number != policy.default_version) {
                let version_id = Some(format!("v{}", version.number));
                let request =
                    iam::DeletePolicyVersionRequest { policy_arn: policy_arn.clone(), version_id };
                let step = self.delete(&entity, Box::new(request)).about("version");
                self.push(step.before(format!("v{}", version.number)));
            }
            self.push(self.delete(&entity, Box::new(iam::DeletePolicyRequest { policy_arn })));
        }
    }

    fn prune_user(&mut self, user: &User) {
        let entity = Entity::new(Kind::User, &user.name);
        for key in self.view.access_keys_of(self.account, Some(&user.id)) {
            let request = iam::DeleteAccessKeyRequest {
                user_name: Some(entity.name.clone()),
                access_key_id: Some(key.id.to_string()),
            };
            let step = self.delete(&entity, Box::new(request)).about("access key");
            self.push(step.before(key.id.to_string()));
        }
        for group in user.groups.iter().filter_map(|id| self.view.group(id)) {
            let step = self.delete(&entity, leave(&entity, group.name.as_str())).about("group");
            let other = Some(Entity::new(Kind::Group, &group.name));
            self.push(step.before(group.name.as_str()).with(other));
        }
        self.prune_permissions(&entity, &user.permissions);
        self.push(self.delete(&entity, requests::delete(&entity)));
    }

    fn prune_permissions(&mut self, entity: &Entity, held: &Permissions) {
        for name in held.inline.keys() {
            let request = requests::delete_inline(entity, name.as_str());
            self.push(self.delete(entity, request).about(format!("inline policy {name}")));
        }
        for policy in held.attached.iter().filter_map(|id| self.view.managed_policy(id)) {
            let request = requests::detach(entity, policy.arn().to_string());
            let step = self.delete(entity, request).about("attached policy");
            let other = Some(Entity::new(Kind::Policy, &policy.name));
            self.push(step.before(policy.name.as_str()).with(other));
        }
    }
}

/// Whether a name is among those that are declared, in whatever case.
fn declared<'n>(mut names: impl Iterator<Item = &'n String>, name: &str) -> bool {
    names.any(|declared| declared.eq_ignore_ascii_case(name))
}
