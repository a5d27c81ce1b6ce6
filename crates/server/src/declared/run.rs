//! A plan carried out, step by step.

use std::collections::HashMap;
use std::sync::Arc;

use keystead_crypto::random;
use keystead_state::proto::outcome;
use keystead_types::{AccountId, RequestId};

use super::Plan;
use super::step::{Action, Entity, Step};
use super::trial::refused;
use crate::audit::{AuditTrail, Operator, OperatorRecord};
use crate::boot::{self, NewAccount};
use crate::clock;
use crate::iam::Proposal;
use crate::region::RegionServer;

/// Why a step was not taken. Those before it were.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// It could not be written down.
    #[error("{0}: not done: the audit trail cannot be written")]
    Audit(String),
    /// Something changed since the plan was made.
    #[error("{0}: not done: it has changed meanwhile; apply again to go on")]
    Changed(String),
    /// The state says no, as it did not when the plan was made.
    #[error("{0}: not done: {1}; apply again to go on")]
    Refused(String, String),
    /// Nobody decided; it may yet happen.
    #[error("{0}: not acknowledged: {1}; apply again to go on")]
    Unacknowledged(String, String),
}

/// A step that was taken.
pub(crate) struct Taken {
    /// Its place in the plan, from 1 on.
    pub(crate) number: u32,
    /// The account that it created.
    pub(crate) created: Option<NewAccount>,
}

/// A plan that is being carried out.
pub(crate) struct Run {
    region: Arc<RegionServer>,
    audit: Arc<AuditTrail>,
    operator: Operator,
    plan: Plan,
    taken: usize,
    /// Where in the log an entity was changed by a step of this plan.
    own: HashMap<(AccountId, Entity), u64>,
}

impl Run {
    pub(crate) fn new(
        plan: Plan,
        region: Arc<RegionServer>,
        audit: Arc<AuditTrail>,
        operator: Operator,
    ) -> Self {
        Self { region, audit, operator, plan, taken: 0, own: HashMap::new() }
    }

    /// Takes the next step, if there is one.
    ///
    /// # Errors
    /// See [`StepError`].
    pub(crate) async fn next(&mut self) -> Result<Option<Taken>, StepError> {
        let Some(step) = self.plan.steps.get(self.taken) else { return Ok(None) };
        self.note(step)?;
        let (created, index) = match &step.action {
            Action::CreateAccount => (Some(self.create_account(step).await?), None),
            Action::Request(request) => (None, Some(self.request(step, &**request).await?)),
        };
        if let Some(index) = index {
            let entities = std::iter::once(&step.entity).chain(&step.other);
            let own = entities.map(|entity| ((step.account, entity.clone()), index));
            self.own.extend(own.collect::<Vec<_>>());
        }
        self.taken += 1;
        let number = u32::try_from(self.taken).unwrap_or(u32::MAX);
        Ok(Some(Taken { number, created }))
    }

    /// Writes down what is about to be done, as every call of an operator is.
    fn note(&self, step: &Step) -> Result<(), StepError> {
        let failed = || StepError::Audit(step.to_string());
        let id = RequestId::from_random(random::bytes().map_err(|_| failed())?);
        let record = OperatorRecord::new(&self.operator, step.operation(), id, clock::now());
        let record = record.on(step.account, step.parameters());
        self.audit.append(&record).map_err(|error| {
            tracing::error!(%error, operation = step.operation(), "a step could not be audited");
            failed()
        })
    }

    async fn create_account(&self, step: &Step) -> Result<NewAccount, StepError> {
        let failed =
            |error: boot::BootError| StepError::Refused(step.to_string(), error.to_string());
        let new = NewAccount::generate(step.account).map_err(failed)?;
        boot::ensure_account(&self.region, &new).await.map_err(failed)?;
        Ok(new)
    }

    /// Proposes a request, and gives the log index at which it was applied.
    async fn request(&self, step: &Step, request: &dyn Proposal) -> Result<u64, StepError> {
        let refusal = |why: String| StepError::Refused(step.to_string(), why);
        let view = self.region.view();
        let operation = request
            .command(&self.region, &view, step.account)
            .map_err(|fault| refusal(fault.message().to_owned()))?;
        let request_id = random::bytes().map_err(|error| refusal(error.to_string()))?;
        let operator = self.operator.principal_id();
        let command = operation.by_operator(operator, request_id, self.seen(step));
        let applied = self.region.propose(command).await;
        let applied = applied
            .map_err(|error| StepError::Unacknowledged(step.to_string(), error.to_string()))?;
        match applied.outcome.result {
            Some(outcome::Result::Stale(_)) => Err(StepError::Changed(step.to_string())),
            Some(outcome::Result::Rejected(no)) => Err(refusal(refused(step, no.reason()))),
            _ => Ok(applied.index),
        }
    }

    /// Up to where in the log the entities of a step are known to be as the plan has them: where it
    /// was made, and where its own steps changed them.
    fn seen(&self, step: &Step) -> u64 {
        let entities = std::iter::once(&step.entity).chain(&step.other);
        let own = entities.filter_map(|entity| self.own.get(&(step.account, entity.clone())));
        own.copied().fold(self.plan.index, u64::max)
    }
}
