//! May this principal do this, to these? And what a denial says: nothing but that.

use keystead_api::{Error, messages};
use keystead_policy::{
    self as policy, Attached, By, Caller, Grant, Policies, Query, Source, Verdict,
};
use keystead_state::{GrantConstraints, Key, NamedPolicy, OwnPolicies, View};
use keystead_types::{GrantId, Principal};

use crate::audit::Record;
use crate::conditions::Circumstances;
use crate::resolve::{Asked, Found, Resource};

/// What everybody's policies are asked about: who asks, and what that principal brings along.
pub(crate) struct Authoriser<'a> {
    circumstances: Circumstances<'a>,
    caller: Caller,
    own: OwnPolicies,
}

impl<'a> Authoriser<'a> {
    /// Collects what a principal brings along; one who is gone meanwhile brings nothing.
    pub(crate) fn new(circumstances: Circumstances<'a>) -> Self {
        let principal = circumstances.principal;
        let own = circumstances.view.own_policies(principal.user_id().unwrap_or_default());
        Self { circumstances, caller: Caller::from(principal), own: own.unwrap_or_default() }
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
        let Circumstances { view, principal, region, .. } = self.circumstances;
        let Some(owner) = resource.owner else { return Err(denial(principal, resource, None)) };
        let identity: Vec<Attached<'_>> =
            self.own.identity.iter().map(NamedPolicy::attached).collect();
        let key = resource.key();
        let grants = key.map(|key| grants_to(view, key, principal, operation(resource)));
        let prepared: Vec<_> =
            grants.iter().flatten().map(|grant| PreparedGrant::new(grant)).collect();
        let grants: Vec<_> = prepared.iter().map(PreparedGrant::grant).collect();
        let policies = Policies {
            key: key.map(|key| &key.policy.document),
            identity: &identity,
            boundary: self.own.boundary.as_ref().map(NamedPolicy::attached),
            session: &[],
            grants: &grants,
        };
        let context = asks(&policies).then(|| self.circumstances.context(resource));
        let query = Query {
            caller: &self.caller,
            action: resource.action,
            resource: &resource.name(region),
            owner,
            context: &context.unwrap_or_default(),
            encryption_context: &resource.facts.encryption_context(),
        };
        let retired = match &resource.found {
            Found::Grant { grant, .. } => Some((grant, PreparedGrant::new(grant))),
            _ => None,
        };
        let verdict = match &retired {
            Some((grant, prepared)) => {
                let retiring = grant.retiring.as_ref().map(|retiring| &retiring.named);
                let issuer = grant.issuing_account;
                policy::may_retire(&query, &policies, &prepared.grant(), retiring, issuer)
            }
            None => policy::decide(&query, &policies),
        };
        match verdict {
            Verdict::Allow { by: By::Grant(id), .. } => Ok(id.parse().ok()),
            Verdict::Allow { .. } => Ok(None),
            denied => {
                record.decision(&denied);
                Err(self.unseen_denial(resource, &query, &policies))
            }
        }
    }

    /// The text of a denial may depend on nothing but what the caller could ask about anything: it
    /// is that of the same request for something that does not exist.
    fn unseen_denial(
        &self,
        resource: &Resource<'_>,
        query: &Query<'_>,
        policies: &Policies<'_>,
    ) -> Error {
        let context = self.circumstances.context(&resource.unseen());
        let name = resource.shown().unwrap_or_default();
        let query = Query { resource: &name, context: &context, ..*query };
        let policies = Policies { key: None, grants: &[], ..*policies };
        let verdict = policy::decide(&query, &policies);
        denial(self.circumstances.principal, resource, Some(&verdict))
    }
}

/// The operation that an action is about, as grants name it.
fn operation(resource: &Resource<'_>) -> &'static str {
    resource.action.strip_prefix("kms:").unwrap_or_default()
}

/// The grants on a key, for an operation, that name a principal or its account.
pub(crate) fn grants_to<'v>(
    view: &'v View,
    key: &Key,
    principal: &Principal,
    operation: &str,
) -> Vec<&'v keystead_state::Grant> {
    if view.grants_on(key.id, None).next().is_none() {
        return Vec::new();
    }
    let account = Principal::Root(principal.account());
    let names = principal.user_id().map(str::to_owned).into_iter().chain([account.to_string()]);
    let names: Vec<String> = names.collect();
    let grants = names.iter().flat_map(|name| view.grants_to(key.id, name));
    let suitable =
        grants.filter(|grant| grant.operations.iter().any(|op| op.as_str() == operation));
    suitable.map(|grant| &**grant).collect()
}

/// Whether any of the policies looks at the context; most do not.
fn asks(policies: &Policies<'_>) -> bool {
    let attached = policies.identity.iter().chain(&policies.boundary);
    policies.key.is_some_and(policy::Document::needs_context)
        || attached.into_iter().any(|attached| attached.document.needs_context())
        || policies.grants.iter().any(|grant| grant.source_arn.is_some())
}

/// A grant as the evaluator takes it, with what it refers to.
pub(crate) struct PreparedGrant<'a> {
    id: String,
    grant: &'a keystead_state::Grant,
    operations: Vec<&'static str>,
    equals: Option<Vec<(&'a str, &'a str)>>,
    subset: Option<Vec<(&'a str, &'a str)>>,
}

impl<'a> PreparedGrant<'a> {
    pub(crate) fn new(grant: &'a keystead_state::Grant) -> Self {
        let GrantConstraints { equals, subset, .. } = &grant.constraints;
        let pairs = |map: &'a std::collections::BTreeMap<String, String>| {
            map.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
        };
        Self {
            id: grant.id.to_string(),
            grant,
            operations: grant.operations.iter().map(|op| op.as_str()).collect(),
            equals: equals.as_ref().map(pairs),
            subset: subset.as_ref().map(pairs),
        }
    }

    pub(crate) fn grant(&self) -> Grant<'_> {
        Grant {
            id: &self.id,
            grantee: &self.grant.grantee.named,
            operations: &self.operations,
            encryption_context_equals: self.equals.as_deref(),
            encryption_context_subset: self.subset.as_deref(),
            source_arn: self.grant.constraints.source_arn.as_deref(),
        }
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
        Asked::Named(arn) => messages::access_denied(principal, action, arn),
        Asked::Anything => messages::access_denied(principal, action, "*"),
    }
}

fn own_policy(source: Source) -> Option<&'static str> {
    match source {
        Source::Key => None,
        Source::Identity => Some("an identity-based policy"),
        Source::Boundary => Some("a permissions boundary"),
        Source::Session => Some("a session policy"),
    }
}
