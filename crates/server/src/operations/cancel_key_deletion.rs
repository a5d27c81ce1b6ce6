//! CancelKeyDeletion: the key stays, disabled.

use keystead_api::{Error, kms};
use keystead_state::proto::{self, outcome};

use super::{Operation, StateRule};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct CancelKeyDeletion;

impl Operation for CancelKeyDeletion {
    type Input = kms::CancelKeyDeletionRequest;
    type Output = kms::CancelKeyDeletionResponse;

    const NAME: &'static str = "CancelKeyDeletion";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::PendingDeletion;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:CancelKeyDeletion")])
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        propose::done(call, proto::CancelKeyDeletion { key: propose::key_ref(key) }).await?;
        Ok(kms::CancelKeyDeletionResponse { key_id: Some(call.key_arn(key).to_string()) })
    }

    fn again(call: &Call<'_>, _: &Self::Input, first: &outcome::Result) -> Option<Self::Output> {
        let outcome::Result::Done(_) = first else { return None };
        let key = call.key(0).ok()?;
        Some(kms::CancelKeyDeletionResponse { key_id: Some(call.key_arn(key).to_string()) })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id)
    }

    fn record_response(_: &Call<'_>, output: &Self::Output) -> Parameters {
        Parameters::new().text("keyId", &output.key_id)
    }
}
