//! Changes that operators make, one request each, as that of any other caller but for who asks.

use keystead_api::query::{self as wire, Fault};
use keystead_state::View;
use keystead_state::proto::Reason;
use keystead_types::{AccountId, Principal};

use super::call::Call;
use super::{Change, refusals};
use crate::audit::Parameters;
use crate::propose;
use crate::region::RegionServer;

/// A request of IAM that changes something.
pub(crate) trait Proposal: Send + Sync {
    /// The operation's name, as the audit trail has it.
    fn operation(&self) -> &'static str;

    /// What is proposed, on an account as it is in a View.
    ///
    /// # Errors
    /// What the request's own constraints forbid, and what the operation refuses by itself.
    fn command(
        &self,
        region: &RegionServer,
        view: &View,
        account: AccountId,
    ) -> Result<propose::Operation, Fault>;

    /// What it means that the state refused.
    fn refused(&self, reason: Reason) -> Fault;

    /// What the audit trail tells of the request.
    fn parameters(&self) -> Parameters;
}

impl<C: Change> Proposal for C {
    fn operation(&self) -> &'static str {
        C::OPERATION
    }

    fn command(
        &self,
        region: &RegionServer,
        view: &View,
        account: AccountId,
    ) -> Result<propose::Operation, Fault> {
        wire::check(self)?;
        Change::command(self, Call { region, view, principal: &Principal::Root(account) })
    }

    fn refused(&self, reason: Reason) -> Fault {
        refusals::fault(reason, self)
    }

    fn parameters(&self) -> Parameters {
        Parameters::of(self)
    }
}
