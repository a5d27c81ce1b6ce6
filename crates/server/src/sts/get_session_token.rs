//! GetSessionToken: temporary credentials of a user, or of the root of an account.

use keystead_api::query::{Fault, messages};
use keystead_api::sts;
use keystead_types::Principal;

use super::{Beginning, Operation, credentials, refuse_second_factor, shown};
use crate::audit::{Parameters, Record};
use crate::front::QueryCall;
use crate::sessions::Holder;

/// How long they are good for, in seconds, unless the request says otherwise.
const DEFAULT_SECONDS: u64 = 43_200;
/// How long those of a root are good for at most, in seconds.
const ROOT_SECONDS: u64 = 3600;

impl Operation for sts::GetSessionTokenRequest {
    type Output = sts::GetSessionTokenResponse;

    const OPERATION: &'static str = "GetSessionToken";

    fn record(&self) -> Parameters {
        Parameters::of(&Self { token_code: None, ..self.clone() })
    }

    /// Policies have no say: whoever has the credentials gets no more rights by this.
    fn answer(&self, call: &QueryCall<'_>, record: &mut Record) -> Result<Self::Output, Fault> {
        refuse_second_factor(self.serial_number.as_deref(), self.token_code.as_deref())?;
        if call.caller.session.is_some() {
            return Err(messages::session_makes_no_session());
        }
        let asked = self.duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let seconds = asked.unwrap_or(DEFAULT_SECONDS);
        let (holder, valid_after, seconds) = match &call.caller.principal {
            Principal::Root(account) => {
                let account = call.view.account(*account).ok_or_else(messages::internal)?;
                (Holder::Root, account.sessions_valid_after, seconds.min(ROOT_SECONDS))
            }
            Principal::User { id, .. } => {
                let id = id.parse().map_err(|_| messages::internal())?;
                let user = call.view.user(&id).ok_or_else(messages::internal)?;
                (Holder::User(id), user.sessions_valid_after, seconds)
            }
            Principal::Session { .. } | Principal::Service { .. } => {
                return Err(messages::session_makes_no_session());
            }
        };
        let session = Beginning::of(call).session(holder, valid_after, seconds)?;
        let credentials = credentials(call.region, &session)?;
        record.response(Parameters::of(&Self::Output { credentials: Some(shown(&credentials)) }));
        Ok(Self::Output { credentials: Some(credentials) })
    }
}
