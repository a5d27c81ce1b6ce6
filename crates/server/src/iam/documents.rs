//! Policy documents as they come in requests.

use keystead_api::query::{Fault, messages};
use keystead_policy::{Document, Kind, MAX_TRUST_POLICY_BYTES};
use keystead_state::limits::MANAGED_POLICY_SIZE;
use keystead_state::policy_size;

/// A text that is an identity policy.
///
/// # Errors
/// `MalformedPolicyDocument`, saying where it is not.
pub(crate) fn checked(text: &str) -> Result<String, Fault> {
    parsed(Kind::Identity, text)
}

/// A text that is a trust policy. Whom it names is for the state to look up.
///
/// # Errors
/// `MalformedPolicyDocument`, saying where it is not, or `LimitExceeded`.
pub(crate) fn trust(text: &str) -> Result<String, Fault> {
    if policy_size(text) > MAX_TRUST_POLICY_BYTES {
        return Err(messages::quota_exceeded("ACLSizePerRole", MAX_TRUST_POLICY_BYTES));
    }
    parsed(Kind::Trust, text)
}

fn parsed(kind: Kind, text: &str) -> Result<String, Fault> {
    match Document::parse(kind, text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(messages::malformed_policy(error)),
    }
}

/// The same, of a size that a managed policy may have.
///
/// # Errors
/// `LimitExceeded` besides.
pub(crate) fn managed(text: &str) -> Result<String, Fault> {
    if policy_size(text) > MANAGED_POLICY_SIZE {
        return Err(messages::quota_exceeded("PolicySize", MANAGED_POLICY_SIZE));
    }
    checked(text)
}
