//! Declared state: from accounts and entities of IAM as they shall be to the steps that lead there.
//!
//! ```text
//! DeclaredState ─ planner ─► what differs ─ trial on a copy of the View ─► Plan ─ run ─► commands
//! ```
//!
//! Each step is one request of IAM's own, or the creation of an account. A plan has been carried
//! out on a copy of the View before anybody sees it, so that what the state would refuse is refused
//! before anything changes. A kind of entity is a function in `entities` or `providers`, its requests are in
//! `requests`, and what of it is not declared is found in `prune`.

mod document;
mod entities;
mod permissions;
mod planner;
mod providers;
mod prune;
mod requests;
mod run;
mod step;
#[cfg(test)]
mod tests;
mod trial;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keystead_crypto::digest;
use keystead_state::View;
use prost::Message;

use self::planner::Planner;
pub(crate) use self::run::{Run, StepError};
use self::step::Step;
use crate::admin::proto;
pub use crate::admin::proto::{
    DeclaredAccount, DeclaredGroup, DeclaredInlinePolicy, DeclaredPermissions, DeclaredPolicy,
    DeclaredProvider, DeclaredRole, DeclaredState, DeclaredUser,
};
use crate::audit::{AuditTrail, Operator};
use crate::boot::NewAccount;
use crate::region::RegionServer;

/// Problems that are told at a time, so that the answer fits a header.
const TOLD_PROBLEMS: usize = 20;
/// How much of each is told, in characters.
const TOLD_CHARACTERS: usize = 300;
/// How long it may take to learn of the newest state.
const BARRIER_TIME: Duration = Duration::from_secs(5);

/// What is wrong with declared state. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what is declared cannot be; nothing was changed:")?;
        for problem in self.0.iter().take(TOLD_PROBLEMS) {
            // A name that is none may have whatever characters.
            let shown = problem.replace(char::is_control, "\u{fffd}");
            let told: String = shown.chars().take(TOLD_CHARACTERS).collect();
            let cut = if told.len() < shown.len() { "…" } else { "" };
            write!(f, "\n  {told}{cut}")?;
        }
        match self.0.len().saturating_sub(TOLD_PROBLEMS) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl std::error::Error for Problems {}

/// The steps from the state of a View to what is declared.
pub(crate) struct Plan {
    steps: Vec<Step>,
    /// Log index of the View.
    index: u64,
}

impl Plan {
    /// The plan for a Region as it is in a View.
    ///
    /// # Errors
    /// What is declared is malformed, or the state would refuse it.
    pub(crate) fn new(
        region: &RegionServer,
        view: &View,
        wanted: &DeclaredState,
        prune: bool,
    ) -> Result<Self, Problems> {
        let steps = Planner::new(view, prune).plan(wanted).map_err(Problems)?;
        let steps =
            trial::in_order(region, view, steps).map_err(|problem| Problems(vec![problem]))?;
        Ok(Self { steps, index: view.applied() })
    }

    /// The plan as operators see it.
    pub(crate) fn shown(&self) -> proto::PlanDeclaredResponse {
        let steps = self.steps.iter().map(Step::shown).collect();
        let mut shown = proto::PlanDeclaredResponse { steps, fingerprint: String::new() };
        // No map is in it, so that the same steps are always the same bytes.
        shown.fingerprint = keystead_types::lower_hex(&digest::sha256(&shown.encode_to_vec()));
        shown
    }
}

/// Why declared state was not applied.
#[derive(Debug, thiserror::Error)]
pub enum DeclaredError {
    /// It cannot be. Nothing was changed.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// The newest state is not known. Nothing was changed.
    #[error("the newest state is not known: {0}")]
    Unavailable(String),
    /// A step failed; those before it are taken.
    #[error("{0}")]
    Step(String),
}

/// Checks declared state without applying it.
///
/// # Errors
/// See [`DeclaredError`].
pub async fn check(region: &RegionServer, wanted: &DeclaredState) -> Result<(), DeclaredError> {
    planned(region, wanted).await.map(drop)
}

async fn planned(region: &RegionServer, wanted: &DeclaredState) -> Result<Plan, DeclaredError> {
    let newest = region.barrier(Instant::now() + BARRIER_TIME).await;
    let view = newest.map_err(|error| DeclaredError::Unavailable(error.to_string()))?;
    Ok(Plan::new(region, &view, wanted, false)?)
}

/// Applies declared state without showing its plan first, in the name of this process: for a Region
/// that is just being started. Gives the root access keys of the accounts that it created.
///
/// # Errors
/// See [`DeclaredError`].
pub async fn apply_at_start(
    region: &Arc<RegionServer>,
    audit: &Arc<AuditTrail>,
    wanted: &DeclaredState,
) -> Result<Vec<NewAccount>, DeclaredError> {
    let plan = planned(region, wanted).await?;
    let mut run = Run::new(plan, region.clone(), audit.clone(), Operator::this_process());
    let mut created = Vec::new();
    while let Some(taken) = run.next().await.map_err(|e| DeclaredError::Step(e.to_string()))? {
        created.extend(taken.created);
    }
    Ok(created)
}
