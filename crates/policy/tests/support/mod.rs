//! Random cases, and the two evaluators side by side.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

pub mod cases;
pub mod given;
pub mod naive;

use keystead_policy::{
    Attached, Caller, Context, Document, Grant, Kind, NamedPrincipal, Policies, Query, Verdict,
    decide,
};
use serde_json::Value;

/// Who asks, in the words of the naive evaluator.
#[derive(Debug, Clone)]
pub enum Who {
    Root(&'static str),
    User(&'static str, &'static str),
    Role(&'static str, &'static str),
    Session(&'static str, &'static str, &'static str),
    Service(&'static str),
    Provider(&'static str),
    Nobody,
}

#[derive(Debug, Clone)]
pub struct GivenGrant {
    pub grantee: String,
    pub operations: Vec<&'static str>,
    pub equals: Option<Vec<(&'static str, &'static str)>>,
    pub subset: Option<Vec<(&'static str, &'static str)>>,
    pub source_arn: Option<&'static str>,
}

/// A request with all that has a say in it.
#[derive(Debug, Clone)]
pub struct Case {
    pub who: Who,
    pub unique_id: Option<&'static str>,
    pub action: &'static str,
    pub resource: &'static str,
    pub owner: &'static str,
    /// Key, values, and whether they are the default of a parameter.
    pub context: Vec<(String, Vec<String>, bool)>,
    pub encryption_context: Vec<(&'static str, &'static str)>,
    pub key: Option<Value>,
    /// The resource is a role, and its policy a trust policy.
    pub trust: bool,
    pub identity: Vec<Value>,
    pub boundary: Option<Value>,
    pub session: Vec<Value>,
    pub grants: Vec<GivenGrant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    Allow,
    ExplicitDeny,
    ImplicitDeny,
}

/// What the crate under test needs for a case, compiled.
pub struct Compiled {
    key: Option<Document>,
    identity: Vec<Document>,
    boundary: Option<Document>,
    session: Vec<Document>,
    grantees: Vec<NamedPrincipal>,
    caller: Caller,
    context: Context,
}

pub fn parse(kind: Kind, json: &Value) -> Document {
    Document::parse(kind, &json.to_string()).unwrap_or_else(|error| panic!("{error}: {json}"))
}

impl Compiled {
    pub fn new(case: &Case) -> Self {
        let identity = |json: &Value| parse(Kind::Identity, json);
        let kind = if case.trust { Kind::Trust } else { Kind::Key };
        Self {
            key: case.key.as_ref().map(|json| parse(kind, json)),
            identity: case.identity.iter().map(identity).collect(),
            boundary: case.boundary.as_ref().map(identity),
            session: case.session.iter().map(identity).collect(),
            grantees: case.grants.iter().map(grantee).collect(),
            caller: caller(case),
            context: context(case),
        }
    }

    pub fn answer(&self, case: &Case) -> Answer {
        self.with(case, |query, policies| match &self.key {
            // Roles have no grants.
            Some(_) if case.trust => {
                Answer::from(decide(query, &Policies { grants: &[], ..*policies }))
            }
            _ => Answer::from(decide(query, policies)),
        })
    }

    /// Asks something about the case.
    pub fn with<T>(&self, case: &Case, ask: impl FnOnce(&Query<'_>, &Policies<'_>) -> T) -> T {
        let attached = |document| Attached { name: "p", document };
        let identity: Vec<_> = self.identity.iter().map(attached).collect();
        let session: Vec<_> = self.session.iter().map(attached).collect();
        let grants: Vec<_> = case.grants.iter().zip(&self.grantees).map(grant).collect();
        let query = Query {
            caller: &self.caller,
            action: case.action,
            resource: case.resource,
            owner: case.owner.parse().unwrap(),
            context: &self.context,
            encryption_context: &case.encryption_context,
        };
        let policies = Policies {
            key: self.key.as_ref(),
            identity: &identity,
            boundary: self.boundary.as_ref().map(attached),
            session: &session,
            grants: &grants,
        };
        ask(&query, &policies)
    }
}

impl From<Verdict<'_>> for Answer {
    fn from(verdict: Verdict<'_>) -> Self {
        match verdict {
            Verdict::Allow { .. } => Self::Allow,
            Verdict::ExplicitDeny(_) => Self::ExplicitDeny,
            Verdict::ImplicitDeny(_) => Self::ImplicitDeny,
        }
    }
}

fn grantee(grant: &GivenGrant) -> NamedPrincipal {
    NamedPrincipal::parse_aws(&grant.grantee)
        .unwrap_or_else(|_| NamedPrincipal::Service(grant.grantee.clone()))
}

fn grant<'a>((given, grantee): (&'a GivenGrant, &'a NamedPrincipal)) -> Grant<'a> {
    Grant {
        id: "g",
        grantee,
        operations: &given.operations,
        encryption_context_equals: given.equals.as_deref(),
        encryption_context_subset: given.subset.as_deref(),
        source_arn: given.source_arn,
    }
}

pub fn caller(case: &Case) -> Caller {
    let account = |text: &str| text.parse().unwrap();
    let caller = match &case.who {
        Who::Root(a) => Caller::root(account(a)),
        Who::User(a, name) => Caller::user(account(a), name),
        Who::Role(a, name) => Caller::role(account(a), name),
        Who::Session(a, role, session) => Caller::session(account(a), role, session),
        Who::Service(name) => Caller::service(name),
        Who::Provider(name) => Caller::federated_provider(name),
        Who::Nobody => Caller::anonymous(),
    };
    match case.unique_id {
        Some(id) => caller.with_unique_id(id),
        None => caller,
    }
}

pub fn context(case: &Case) -> Context {
    let mut context = Context::new();
    for (key, values, default) in &case.context {
        for value in values {
            if *default {
                context.add_default(key, value);
            } else {
                context.add(key, value);
            }
        }
    }
    context
}
