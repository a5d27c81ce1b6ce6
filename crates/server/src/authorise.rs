//! May this principal do this, to these? And what a denial says: nothing but that.

use keystead_api::{Error, messages};
use keystead_policy::{Decision, Request, evaluate};
use keystead_types::Principal;

use crate::resolve::{Asked, Found, Resource};

/// Checks every resource of a request.
///
/// # Errors
/// `AccessDeniedException` with the same text whether or not the resource exists; for those who
/// may know, the `NotFoundException` that resolution found.
pub(crate) fn authorise(principal: &Principal, resources: &mut [Resource]) -> Result<(), Error> {
    for resource in resources.iter() {
        let allowed = resource.owner.is_some_and(|owner| {
            let resource_policy = match &resource.found {
                Found::Key(key) => Some(key.policy.text.as_str()),
                _ => None,
            };
            let request = Request { principal, action: resource.action, owner, resource_policy };
            evaluate(&request) == Decision::Allow
        });
        if !allowed {
            return Err(denial(principal, resource));
        }
    }
    for resource in resources {
        if let Found::Absent(error) = &resource.found {
            return Err(error.clone());
        }
    }
    Ok(())
}

fn denial(principal: &Principal, resource: &Resource) -> Error {
    let action = resource.action;
    match &resource.asked {
        Asked::Ciphertext => messages::access_denied_ciphertext(principal, action),
        Asked::Arn(_) if resource.owner.is_some_and(|owner| owner != principal.account()) => {
            messages::access_denied_foreign(principal, action)
        }
        Asked::Arn(arn) => messages::access_denied(principal, action, arn),
        Asked::Anything => messages::access_denied(principal, action, "*"),
    }
}
