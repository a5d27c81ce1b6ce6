//! Who may do what. Pure functions over documents and requests; no I/O, no clock.
//!
//! [`Document::parse`] reads a policy strictly and compiles it, once. [`decide`] answers a
//! [`Query`] from the compiled [`Policies`] that have a say; [`explain`] is the same run with a
//! record of every statement.
//!
//! [`evaluate`] is the decision for as long as an account has its root credential only, and every
//! key the default policy, which gives the owning account everything: the root may do everything
//! in its own account and nothing elsewhere.
#![forbid(unsafe_code)]

mod caller;
mod condition;
mod context;
mod decide;
mod defect;
mod document;
mod error;
mod grant;
mod json;
mod keys;
mod pattern;
mod value;

pub use caller::{Caller, NamedPrincipal};
pub use context::Context;
pub use decide::{
    Attached, By, Miss, Missing, Policies, Query, Source, StatementRef, Step, Verdict,
    can_put_key_policy, decide, explain,
};
#[cfg(feature = "planted-defects")]
pub use defect::{Defect, plant};
pub use document::{Document, Effect, Kind, MAX_IDENTITY_POLICY_BYTES, MAX_KEY_POLICY_BYTES};
pub use error::{PolicyError, Reason};
pub use grant::Grant;
pub use keys::{CONDITION_KEYS, ConditionKey, KeyType, condition_key};

use keystead_types::{AccountId, PARTITION, Principal};

/// One question: may this principal do this, to this?
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// The IAM action, such as `kms:Encrypt`.
    pub action: &'a str,
    /// The account that owns the resource; of an action on no resource, the caller's own.
    pub owner: AccountId,
    /// The policy attached to the resource, if it is one that has a policy.
    pub resource_policy: Option<&'a str>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Something allows it and nothing denies it.
    Allow,
    /// Nothing allows it.
    ImplicitDeny,
}

/// Evaluates a request.
pub fn evaluate(request: &Request<'_>) -> Decision {
    if request.principal.account() == request.owner {
        Decision::Allow
    } else {
        Decision::ImplicitDeny
    }
}

/// The key policy that a key has when its creator gave none: the account's root, and through it
/// the account's IAM policies, decide.
pub fn default_key_policy(account: AccountId) -> String {
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "arn:{PARTITION}:iam::{account}:root"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_rules_its_own_account_only() {
        let own = "111122223333".parse().unwrap();
        let other = "444455556666".parse().unwrap();
        let principal = Principal::Root(own);
        let request = |owner| Request {
            principal: &principal,
            action: "kms:Encrypt",
            owner,
            resource_policy: None,
        };
        assert_eq!(evaluate(&request(own)), Decision::Allow);
        assert_eq!(evaluate(&request(other)), Decision::ImplicitDeny);
    }
}
