//! EnableKey: switches a key on.

use keystead_api::{Error, kms};
use keystead_state::proto;

use super::{Operation, StateRule};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct EnableKey;

impl Operation for EnableKey {
    type Input = kms::EnableKeyRequest;
    type Output = kms::EnableKeyResponse;

    const NAME: &'static str = "EnableKey";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::Switchable;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:EnableKey")])
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        let key = propose::key_ref(call.key(0)?);
        propose::done(call, proto::EnableKey { key }).await?;
        Ok(Self::Output::default())
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id)
    }
}
