//! EnableKeyRotation: a key gets new material by itself, for the first time a period from now.

use keystead_api::{Error, kms, messages};
use keystead_state::proto;

use super::{Operation, StateRule, rotation};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct EnableKeyRotation;

/// The days from one rotation to the next when nobody says.
const DEFAULT_PERIOD_DAYS: i32 = 365;

impl Operation for EnableKeyRotation {
    type Input = kms::EnableKeyRotationRequest;
    type Output = kms::EnableKeyRotationResponse;

    const NAME: &'static str = "EnableKeyRotation";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::Schedulable;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![
            Target::id_or_arn(input.key_id(), "kms:EnableKeyRotation")
                .fact("kms:RotationPeriodInDays", period_days(input).to_string()),
        ])
    }

    fn suits(call: &Call<'_>, _: &Self::Input) -> Result<(), Error> {
        rotation::suits_schedule(call, Self::NAME)
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = propose::key_ref(call.key(0)?);
        let days = period_days(input);
        let period_days = u32::try_from(days).map_err(|_| messages::internal())?;
        propose::done(call, proto::EnableKeyRotation { key, period_days }).await?;
        Ok(Self::Output::default())
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .number("rotationPeriodInDays", input.rotation_period_in_days)
    }
}

fn period_days(input: &kms::EnableKeyRotationRequest) -> i32 {
    input.rotation_period_in_days.unwrap_or(DEFAULT_PERIOD_DAYS)
}
