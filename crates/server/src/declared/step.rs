//! One step of a plan.

use std::fmt;

use keystead_types::AccountId;

use crate::admin::proto::{self, StepKind};
use crate::audit::Parameters;
use crate::iam::Proposal;

/// What can be declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Account,
    Policy,
    Group,
    User,
    Role,
    Provider,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "account",
            Self::Policy => "policy",
            Self::Group => "group",
            Self::User => "user",
            Self::Role => "role",
            Self::Provider => "provider",
        })
    }
}

/// An entity of an account, or the account itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Entity {
    pub(super) kind: Kind,
    pub(super) name: String,
}

impl Entity {
    pub(super) fn new(kind: Kind, name: impl fmt::Display) -> Self {
        Self { kind, name: name.to_string() }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// What a step does.
pub(super) enum Action {
    CreateAccount,
    Request(Box<dyn Proposal>),
}

/// One step of a plan: what it does, and what is said about it.
pub(super) struct Step {
    kind: StepKind,
    pub(super) account: AccountId,
    pub(super) entity: Entity,
    /// What it needs besides, of the same account.
    pub(super) other: Option<Entity>,
    pub(super) action: Action,
    what: String,
    before: Option<String>,
    after: Option<String>,
}

impl Step {
    pub(super) fn account(account: AccountId) -> Self {
        let entity = Entity::new(Kind::Account, account);
        Self::of(StepKind::Create, account, entity, Action::CreateAccount)
    }

    pub(super) fn new(
        kind: StepKind,
        account: AccountId,
        entity: &Entity,
        request: Box<dyn Proposal>,
    ) -> Self {
        Self::of(kind, account, entity.clone(), Action::Request(request))
    }

    fn of(kind: StepKind, account: AccountId, entity: Entity, action: Action) -> Self {
        let (other, what, before, after) = (None, String::new(), None, None);
        Self { kind, account, entity, other, action, what, before, after }
    }

    /// The same, about this part of the entity.
    pub(super) fn about(self, what: impl Into<String>) -> Self {
        Self { what: what.into(), ..self }
    }

    /// The same, which needs this entity too.
    pub(super) fn with(self, other: Option<Entity>) -> Self {
        Self { other, ..self }
    }

    /// The same, which replaces something, or takes it away.
    pub(super) fn before(self, before: impl Into<String>) -> Self {
        Self { before: Some(before.into()), ..self }
    }

    /// The same, by which this comes.
    pub(super) fn after(self, after: impl Into<String>) -> Self {
        Self { after: Some(after.into()), ..self }
    }

    /// The operation, as the audit trail has it.
    pub(super) fn operation(&self) -> &'static str {
        match &self.action {
            Action::CreateAccount => "CreateAccount",
            Action::Request(request) => request.operation(),
        }
    }

    /// What the audit trail tells of it.
    pub(super) fn parameters(&self) -> Parameters {
        match &self.action {
            Action::CreateAccount => Parameters::none(),
            Action::Request(request) => request.parameters(),
        }
    }

    /// As operators see it.
    pub(super) fn shown(&self) -> proto::PlannedStep {
        proto::PlannedStep {
            kind: self.kind.into(),
            account: self.account.to_string(),
            entity: self.entity.to_string(),
            operation: self.operation().to_owned(),
            what: self.what.clone(),
            before: self.before.clone(),
            after: self.after.clone(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entity.kind {
            Kind::Account => write!(f, "{}", self.entity),
            _ => write!(f, "account {}, {}", self.account, self.entity),
        }
    }
}
