//! May this principal do this, to these? And what a denial says: nothing but that.

use keystead_api::{Error, messages};
use keystead_policy::{self as policy, By, Policies, Query, Source, Verdict};
use keystead_types::{GrantId, Principal};

use crate::audit::Record;
use crate::conditions::Circumstances;
use crate::question::{Asker, Question};
use crate::resolve::{Asked, Found, Resource};

/// What everybody's policies are asked about.
pub(crate) struct Authoriser<'a> {
    principal: &'a Principal,
    asker: Asker<'a>,
}

impl<'a> Authoriser<'a> {
    /// Collects what a principal brings along.
    pub(crate) fn new(principal: &'a Principal, circumstances: Circumstances<'a>) -> Self {
        Self { principal, asker: Asker::new(principal, circumstances) }
    }

    /// Checks every resource of a request. What a grant alone allows is noted with it.
    ///
    /// # Errors
    /// `AccessDeniedException` with the same text whether or not the resource exists; for those
    /// who may know, the `NotFoundException` that resolution found.
    pub(crate) fn check(
        &self,
        resources: &mut [Resource<'_>],
        record: &mut Record,
    ) -> Result<(), Error> {
        for resource in &mut *resources {
            resource.by_grant = self.decide(resource, record)?;
        }
        for resource in resources {
            if let Found::Absent(error) = &resource.found {
                return Err(error.clone());
            }
        }
        Ok(())
    }

    /// Decides about one resource: the grant that allowed it, if one did.
    fn decide(
        &self,
        resource: &Resource<'_>,
        record: &mut Record,
    ) -> Result<Option<GrantId>, Error> {
        let answer = self.asker.ask(resource, |question| match question.decide() {
            Verdict::Allow { by: By::Grant(id), .. } => Ok(id.parse().ok()),
            Verdict::Allow { .. } => Ok(None),
            denied => {
                record.decision(&denied);
                Err(self.unseen_denial(resource, question))
            }
        });
        answer.unwrap_or_else(|| Err(denial(self.principal, resource, None)))
    }

    /// The text of a denial may depend on nothing but what the caller could ask about anything: it
    /// is that of the same request for something that does not exist.
    fn unseen_denial(&self, resource: &Resource<'_>, question: &Question<'_, '_>) -> Error {
        let context = self.asker.circumstances.context(&resource.unseen());
        let name = resource.shown().unwrap_or_default();
        let query = Query { resource: &name, context: &context, ..question.query };
        let policies = Policies { key: None, grants: &[], ..question.policies };
        let verdict = policy::decide(&query, &policies);
        denial(self.principal, resource, Some(&verdict))
    }
}

/// What a denial says. Only the caller's own policies are named, since their owner may know them.
fn denial(principal: &Principal, resource: &Resource<'_>, verdict: Option<&Verdict<'_>>) -> Error {
    let action = resource.action;
    if let Some(Verdict::ExplicitDeny(statement)) = verdict
        && let Some(policy) = own_policy(statement.source)
        && let Some(name) = resource.shown()
    {
        return messages::access_denied_explicitly(principal, action, name, policy);
    }
    match &resource.asked {
        Asked::Ciphertext => messages::access_denied_ciphertext(principal, action),
        Asked::Arn(_) if resource.owner.is_some_and(|owner| owner != principal.account()) => {
            messages::access_denied_foreign(principal, action)
        }
        Asked::Arn(arn) => messages::access_denied(principal, action, arn),
        Asked::Role(arn) => messages::access_denied_role(principal, action, arn),
        Asked::Named(arn) => messages::access_denied(principal, action, arn),
        Asked::Anything => messages::access_denied(principal, action, "*"),
    }
}

fn own_policy(source: Source) -> Option<&'static str> {
    match source {
        Source::Key | Source::Trust => None,
        Source::Identity => Some("an identity-based policy"),
        Source::Boundary => Some("a permissions boundary"),
        Source::Session => Some("a session policy"),
    }
}
