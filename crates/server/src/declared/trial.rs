//! A plan carried out on a copy of the View: by the very code that decides in the end.

use keystead_state::proto::outcome;
use keystead_state::{View, apply, proto};

use super::step::{Action, Step};
use crate::access_key;
use crate::propose::Operation;
use crate::region::RegionServer;

/// The steps in an order in which the state takes them all: one that is refused is tried again when
/// the others are taken, since it may need what they make, or the room that they leave.
///
/// Where none of those that are left is taken, what is wrong with the first.
pub(super) fn in_order(
    region: &RegionServer,
    view: &View,
    mut steps: Vec<Step>,
) -> Result<Vec<Step>, String> {
    let mut trial = Trial { region, index: view.applied(), view: view.clone() };
    let mut taken = Vec::with_capacity(steps.len());
    while !steps.is_empty() {
        let (mut left, mut problem) = (Vec::new(), None);
        let before = steps.len();
        for step in steps {
            match trial.take(&step) {
                Ok(()) => taken.push(step),
                Err(why) => {
                    problem.get_or_insert_with(|| format!("{step}: {why}"));
                    left.push(step);
                }
            }
        }
        if let Some(problem) = problem.filter(|_| left.len() == before) {
            return Err(problem);
        }
        steps = left;
    }
    Ok(taken)
}

struct Trial<'a> {
    region: &'a RegionServer,
    view: View,
    index: u64,
}

impl Trial<'_> {
    /// Applies a step, or says why the state does not take it.
    fn take(&mut self, step: &Step) -> Result<(), String> {
        let operation = self.operation(step)?;
        self.index += 1;
        let mut request_id = [0; 32];
        request_id[..8].copy_from_slice(&self.index.to_be_bytes());
        let command = operation.by_operator(String::new(), request_id, u64::MAX);
        if command.version > self.view.cluster_version() {
            return Err("not all members of the cluster understand it yet".into());
        }
        let applied = apply(&mut self.view, self.index, &command);
        match applied.map_err(|error| error.to_string())?.outcome.result {
            Some(outcome::Result::Rejected(rejected)) => Err(refused(step, rejected.reason())),
            _ => Ok(()),
        }
    }

    fn operation(&self, step: &Step) -> Result<Operation, String> {
        match &step.action {
            Action::CreateAccount => {
                let (id, _) = access_key::generate().map_err(|error| error.to_string())?;
                let (account, access_key_id) = (step.account.number(), id.to_string());
                let sealed_secret = Vec::new();
                Ok(proto::CreateAccount {
                    account,
                    access_key_id,
                    sealed_secret,
                    service: String::new(),
                }
                .into())
            }
            Action::Request(request) => request
                .command(self.region, &self.view, step.account)
                .map_err(|fault| fault.message().to_owned()),
        }
    }
}

/// What it means to people that the state refused a step.
pub(super) fn refused(step: &Step, reason: proto::Reason) -> String {
    match &step.action {
        Action::CreateAccount => reason.as_str_name().to_owned(),
        Action::Request(request) => request.refused(reason).message().to_owned(),
    }
}
