//! Who may do what. Pure functions over documents and requests; no I/O, no clock.
//!
//! [`Document::parse`] reads a policy strictly and compiles it, once. [`decide`] answers a
//! [`Query`] from the compiled [`Policies`] that have a say; [`explain`] is the same run with a
//! record of every statement.
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
mod open;
mod pattern;
mod rename;
mod told;
mod trust;
mod value;

pub use caller::{Caller, NamedPrincipal};
pub use context::Context;
pub use decide::{
    Attached, By, Miss, Missing, Policies, Query, Source, StatementRef, Step, Verdict,
    can_put_key_policy, decide, explain,
};
#[cfg(feature = "planted-defects")]
pub use defect::{Defect, plant};
pub use document::{
    Document, Effect, Kind, MAX_IDENTITY_POLICY_BYTES, MAX_KEY_POLICY_BYTES, MAX_TRUST_POLICY_BYTES,
};
pub use error::{PolicyError, Reason};
pub use grant::{Grant, may_retire};
pub use keys::{CONDITION_KEYS, ConditionKey, KeyType, condition_key};
pub use rename::rename_principals;

use keystead_types::{AccountId, PARTITION};

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
