//! What a principal brings along to every decision, and who is behind the name of one.

use std::collections::BTreeMap;

use keystead_policy::Attached;
use keystead_types::{IamArn, IamResource, Principal, PrincipalArn, UserId};

use crate::iam::{NamedPolicy, Role, User};
use crate::view::View;

impl NamedPolicy {
    /// As the evaluator takes it.
    pub fn attached(&self) -> Attached<'_> {
        Attached { name: &self.name, document: &self.policy.document }
    }
}

/// The policies of a principal.
#[derive(Debug, Clone, Default)]
pub struct OwnPolicies {
    /// Its own, those attached to it, and its groups'.
    pub identity: Vec<NamedPolicy>,
    /// Its permissions boundary.
    pub boundary: Option<NamedPolicy>,
}

impl View {
    /// The policies of a user or a role, by unique id; of an account's root, whose id is empty,
    /// there are none. `None` for somebody who does not exist.
    pub fn own_policies(&self, id: &str) -> Option<OwnPolicies> {
        if id.is_empty() {
            return Some(OwnPolicies::default());
        }
        if let Some(role) = self.role_by_id(id) {
            let (identity, boundary) = (self.role_policies(role), self.boundary(role.boundary));
            return Some(OwnPolicies { identity, boundary });
        }
        let user = self.user_by_id(id)?;
        Some(OwnPolicies {
            identity: self.identity_policies(user),
            boundary: self.boundary_of(user),
        })
    }

    /// The ARN of a user or a role, by unique id.
    pub fn principal_arn(&self, id: &str) -> Option<IamArn> {
        let role = || self.role_by_id(id).map(Role::arn);
        self.user_by_id(id).map(User::arn).or_else(role)
    }

    /// The unique id of a user or a role; `None` if there is none of this name and path.
    pub fn unique_id(&self, arn: &IamArn) -> Option<String> {
        match &arn.resource {
            IamResource::User(name) => {
                let user = self.user_named(arn.account, name)?;
                (user.arn() == *arn).then(|| user.id.to_string())
            }
            IamResource::Role(name) => {
                let role = self.role_named(arn.account, name)?;
                (role.arn() == *arn).then(|| role.id.to_string())
            }
            IamResource::Group(_) | IamResource::Policy(_) => None,
        }
    }

    /// The tags of a user, or of the role of a session; the root of an account has none.
    pub fn principal_tags(&self, principal: &Principal) -> impl Iterator<Item = (&str, &str)> {
        let user = principal.user_id().and_then(|id| self.user_by_id(id)).map(|user| &user.tags);
        let role = principal.role_id().and_then(|id| self.role_by_id(id)).map(|role| &role.tags);
        let tags = user.or(role).unwrap_or(const { &BTreeMap::new() });
        tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The unique id of a user; `None` if there is none of this name.
    pub fn principal_id(&self, arn: &PrincipalArn) -> Option<UserId> {
        let PrincipalArn::User(arn) = arn else { return None };
        let user = self.user_named(arn.account, arn.user_name()?)?;
        (user.arn() == *arn).then_some(user.id)
    }

    fn role_by_id(&self, id: &str) -> Option<&Role> {
        self.role(&id.parse().ok()?).map(|role| &**role)
    }

    fn user_by_id(&self, id: &str) -> Option<&User> {
        self.user(&id.parse().ok()?).map(|user| &**user)
    }
}
