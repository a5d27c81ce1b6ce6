//! The question that every authorisation comes down to, and all that has a say in its answer. There
//! is one way to put it together, so that an explanation cannot differ from what happens.

use std::collections::BTreeMap;

use keystead_policy::{self as policy, Attached, Caller, Grant, Policies, Query, Step, Verdict};
use keystead_state::{GrantConstraints, Key, NamedPolicy, OwnPolicies, View};
use keystead_types::{AccountId, Principal};

use crate::conditions::Circumstances;
use crate::resolve::{Found, Resource};
use crate::sessions::SessionPolicy;

/// Who asks, in which circumstances, and what policies that principal brings along.
pub(crate) struct Asker<'a> {
    pub(crate) circumstances: Circumstances<'a>,
    caller: Caller,
    /// A service in its own account.
    at_home: Option<Caller>,
    own: OwnPolicies,
    session: Vec<SessionPolicy>,
}

impl<'a> Asker<'a> {
    /// A principal; one who is gone meanwhile brings nothing.
    pub(crate) fn new(principal: &'a Principal, circumstances: Circumstances<'a>) -> Self {
        let own = circumstances.view.own_policies(principal.entity_id().unwrap_or_default());
        let own = own.unwrap_or_default();
        let session = circumstances.session.map(|session| session.policies(circumstances.view));
        let circumstances = Circumstances { principal: Some(principal), ..circumstances };
        let (caller, session) = (Caller::from(principal), session.unwrap_or_default());
        let at_home = principal.service().map(|_| Caller::root(principal.account()));
        Self { circumstances, caller, at_home, own, session }
    }

    /// Somebody whom policies may name, and who is no principal of the Region.
    pub(crate) fn outsider(caller: Caller, circumstances: Circumstances<'a>) -> Self {
        let circumstances = Circumstances { principal: None, ..circumstances };
        let own = OwnPolicies::default();
        Self { circumstances, caller, at_home: None, own, session: Vec::new() }
    }

    /// Puts the question whether the asker may do this to `judge`. There is none where nobody is
    /// known to own the resource.
    pub(crate) fn ask<T>(
        &self,
        resource: &Resource<'_>,
        judge: impl FnOnce(&Question<'_, '_>) -> T,
    ) -> Option<T> {
        let owner = resource.owner?;
        let identity: Vec<Attached<'_>> =
            self.own.identity.iter().map(NamedPolicy::attached).collect();
        let session: Vec<Attached<'_>> = self.session.iter().map(SessionPolicy::attached).collect();
        let key = resource.key();
        let grants = key.map(|key| self.grants(key, operation(resource)));
        let prepared: Vec<_> =
            grants.iter().flatten().map(|grant| PreparedGrant::new(grant)).collect();
        let grants: Vec<_> = prepared.iter().map(PreparedGrant::grant).collect();
        let policies = Policies {
            key: resource.policy().map(|policy| &policy.document),
            identity: &identity,
            boundary: self.own.boundary.as_ref().map(NamedPolicy::attached),
            session: &session,
            grants: &grants,
        };
        let context = asks(&policies).then(|| self.circumstances.context(resource));
        let query = Query {
            caller: self.caller(owner),
            action: resource.action,
            resource: &resource.name(self.circumstances.region),
            owner,
            context: &context.unwrap_or_default(),
            encryption_context: &resource.facts.encryption_context(),
        };
        let retired = match &resource.found {
            Found::Grant { grant, .. } => Some((&**grant, PreparedGrant::new(grant))),
            _ => None,
        };
        Some(judge(&Question { query, policies, retired: retired.as_ref() }))
    }

    /// Who asks, to the owner of what is asked about: a service is the root of its own account, and
    /// of no account to others.
    fn caller(&self, owner: AccountId) -> &Caller {
        self.at_home.as_ref().filter(|root| root.account() == Some(owner)).unwrap_or(&self.caller)
    }

    fn grants(&self, key: &Key, operation: &str) -> Vec<&'a keystead_state::Grant> {
        let view = self.circumstances.view;
        match self.circumstances.principal {
            Some(principal) => grants_to(view, key, principal, operation),
            None => grants_named(view, key, &[self.caller.name()], operation),
        }
    }
}

/// A question, put together.
pub(crate) struct Question<'q, 'p> {
    pub(crate) query: Query<'q>,
    pub(crate) policies: Policies<'p>,
    /// The grant that the question is about, where it is about retiring one.
    retired: Option<&'p (&'p keystead_state::Grant, PreparedGrant<'p>)>,
}

impl<'p> Question<'_, 'p> {
    /// The answer.
    pub(crate) fn decide(&self) -> Verdict<'p> {
        let Some((grant, prepared)) = self.retired else {
            return policy::decide(&self.query, &self.policies);
        };
        let retiring = grant.retiring.as_ref().map(|retiring| &retiring.named);
        let issuer = grant.issuing_account;
        policy::may_retire(&self.query, &self.policies, &prepared.grant(), retiring, issuer)
    }

    /// The same answer to a question about a key, with what each statement and each grant to the
    /// asker had to do with it.
    pub(crate) fn explain(&self) -> (Verdict<'p>, Vec<Step<'p>>) {
        policy::explain(&self.query, &self.policies)
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
    if let Some(service) = principal.service() {
        return grants_named(view, key, &[service.as_str()], operation);
    }
    let account = Principal::Root(principal.account()).to_string();
    // A grant may be to a session alone.
    let session = principal.role_id().map(|_| principal.to_string());
    let own = principal.entity_id().into_iter().chain(session.as_deref());
    let names: Vec<&str> = own.chain([account.as_str()]).collect();
    grants_named(view, key, &names, operation)
}

fn grants_named<'v>(
    view: &'v View,
    key: &Key,
    names: &[&str],
    operation: &str,
) -> Vec<&'v keystead_state::Grant> {
    let grants = names.iter().flat_map(|name| view.grants_to(key.id, name));
    let suitable =
        grants.filter(|grant| grant.operations.iter().any(|op| op.as_str() == operation));
    suitable.map(|grant| &**grant).collect()
}

/// Whether any of the policies looks at the context; most do not.
fn asks(policies: &Policies<'_>) -> bool {
    let attached = policies.identity.iter().chain(&policies.boundary).chain(policies.session);
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
        let pairs = |map: &'a BTreeMap<String, String>| {
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
