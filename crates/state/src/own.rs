//! What a principal brings along to every decision: its own policies.

use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_policy::Attached;
use keystead_types::{Principal, PrincipalArn};

use crate::model::Policy;
use crate::view::View;

/// A policy under the name that explanations give it.
#[derive(Debug, Clone)]
pub struct NamedPolicy {
    /// Such as the ARN of a managed policy.
    pub name: Arc<str>,
    /// The policy.
    pub policy: Arc<Policy>,
}

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
        user_id.is_empty().then(OwnPolicies::default)
    }

    /// The ARN of a user, by unique id.
    pub fn principal_arn(&self, _id: &str) -> Option<PrincipalArn> {
        None
    }

    /// The tags of a user; the root of an account has none.
    pub fn principal_tags(&self, _principal: &Principal) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// The unique id of a user; `None` if there is none of this name.
    pub fn principal_id(&self, _arn: &PrincipalArn) -> Option<String> {
        None
    }
}
