//! DisableKey: switches a key off, everywhere, before it returns.

use keystead_api::{Error, kms};
use keystead_state::proto;

use super::{Operation, StateRule};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct DisableKey;

impl Operation for DisableKey {
    type Input = kms::DisableKeyRequest;
    type Output = kms::DisableKeyResponse;

    const NAME: &'static str = "DisableKey";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::Switchable;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:DisableKey")])
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        let key = propose::key_ref(call.key(0)?);
        propose::done(call, proto::DisableKey { key }).await?;
        Ok(Self::Output::default())
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id)
    }
}
