//! Trust policies: who may take on a role. The evaluator takes one in the place of a key's policy.
//!
//! - In the account of the role, a trust policy that names the caller (the user, its role, its
//!   session, `*`) suffices; one that names the account leaves it to the caller's own policies.
//! - From another account, the trust policy has to name the caller or its account, and the caller's
//!   own policies have to allow it, too. The root of an account needs none.
//! - Somebody for whom an identity provider answers, and a service, are allowed by being named as
//!   such, and by nothing else.
//! - An explicit deny anywhere wins.

use crate::document::{self, Chosen};
use crate::error::{At, PolicyError, Reason};
use crate::json::Json;
use crate::pattern::Pattern;

/// What a trust policy can be about.
const TRUST_ACTIONS: [&str; 4] =
    ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"];

/// Refuses the elements that only other kinds of policies have.
pub(crate) fn check(
    actions: Chosen<'_>,
    resources: [Option<&Json>; 2],
    at: &At<'_>,
) -> Result<(), PolicyError> {
    if let Some((_, name, true)) = actions {
        return at.field(name).refuse(Reason::Forbidden("a trust policy lists its actions"));
    }
    for (resource, name) in resources.iter().zip(["Resource", "NotResource"]) {
        if resource.is_some() {
            let reason = Reason::Forbidden("a trust policy is about the role that has it");
            return at.field(name).refuse(reason);
        }
    }
    Ok(())
}

/// A pattern that one of [`TRUST_ACTIONS`] matches.
pub(crate) fn action(text: &str) -> Result<Pattern, Reason> {
    let (pattern, folded) =
        (document::action(text)?, document::action(&text.to_ascii_lowercase())?);
    let context = crate::Context::new();
    let known = TRUST_ACTIONS.map(str::to_ascii_lowercase);
    if known.iter().any(|action| folded.matches(action, &context)) {
        Ok(pattern)
    } else {
        Err(Reason::text("an action on a role", text))
    }
}
