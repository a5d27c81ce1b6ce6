//! DisableKeyRotation: a key keeps the material that it has, until somebody says otherwise.

use keystead_api::{Error, kms};
use keystead_state::proto;

use super::{Operation, StateRule, rotation};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct DisableKeyRotation;

impl Operation for DisableKeyRotation {
    type Input = kms::DisableKeyRotationRequest;
    type Output = kms::DisableKeyRotationResponse;

    const NAME: &'static str = "DisableKeyRotation";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::Schedulable;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:DisableKeyRotation")])
    }

    fn suits(call: &Call<'_>, _: &Self::Input) -> Result<(), Error> {
        rotation::suits_schedule(call, Self::NAME)
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        let key = propose::key_ref(call.key(0)?);
        propose::done(call, proto::DisableKeyRotation { key }).await?;
        Ok(Self::Output::default())
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id)
    }
}
