//! What a principal brings along to every decision, and who is behind the name of one.

use std::collections::BTreeMap;

use keystead_policy::Attached;
use keystead_types::{Principal, PrincipalArn, UserId};

use crate::iam::{NamedPolicy, User};
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
    /// The policies of a user, by unique id; of an account's root, whose id is empty, there are
    /// none. `None` for a user who does not exist.
    pub fn own_policies(&self, user_id: &str) -> Option<OwnPolicies> {
        if user_id.is_empty() {
            return Some(OwnPolicies::default());
        }
        let user = self.user_by_id(user_id)?;
        Some(OwnPolicies {
            identity: self.identity_policies(user),
            boundary: self.boundary_of(user),
        })
    }

    /// The ARN of a user, by unique id.
    pub fn principal_arn(&self, id: &str) -> Option<PrincipalArn> {
        self.user_by_id(id).map(|user| PrincipalArn::User(user.arn()))
    }

    /// The tags of a user; the root of an account has none.
    pub fn principal_tags(&self, principal: &Principal) -> impl Iterator<Item = (&str, &str)> {
        let user = principal.user_id().and_then(|id| self.user_by_id(id));
        let tags = user.map_or(const { &BTreeMap::new() }, |user| &user.tags);
        tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The unique id of a user; `None` if there is none of this name.
    pub fn principal_id(&self, arn: &PrincipalArn) -> Option<UserId> {
        let PrincipalArn::User(arn) = arn else { return None };
        let user = self.user_named(arn.account, arn.user_name()?)?;
        (user.arn() == *arn).then_some(user.id)
    }

    fn user_by_id(&self, id: &str) -> Option<&User> {
        self.user(&id.parse().ok()?).map(|user| &**user)
    }
}
