//! UpdateKeyDescription: what its owner wrote about a key.

use keystead_api::{Error, kms};
use keystead_state::proto;

use super::{Operation, StateRule};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct UpdateKeyDescription;

impl Operation for UpdateKeyDescription {
    type Input = kms::UpdateKeyDescriptionRequest;
    type Output = kms::UpdateKeyDescriptionResponse;

    const NAME: &'static str = "UpdateKeyDescription";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::NotPendingDeletion;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:UpdateKeyDescription")])
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = propose::key_ref(call.key(0)?);
        let description = input.description().to_owned();
        propose::done(call, proto::UpdateKeyDescription { key, description }).await?;
        Ok(Self::Output::default())
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id).text("description", &input.description)
    }
}
