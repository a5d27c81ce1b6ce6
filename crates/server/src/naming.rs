//! Policies that name users and roles by unique id, with the names of today.

use keystead_state::{Policy, View};

/// The policy as it was given, save that users and roles are called what they are called now: those
/// who are gone by their unique ids, so that nobody who comes later is taken for them.
pub(crate) fn shown(view: &View, policy: &Policy) -> String {
    let now = |arn: &str| {
        let id = policy.principals.get(arn)?;
        Some(view.principal_arn(id).map_or_else(|| id.clone(), |arn| arn.to_string()))
    };
    if policy.principals.keys().all(|arn| now(arn).as_deref() == Some(arn)) {
        return policy.text.clone();
    }
    keystead_policy::rename_principals(&policy.text, now)
}
