//! RotateKeyOnDemand: new material for a key at once; imported material that waits becomes current.

use keystead_api::{Error, ErrorCode, kms, messages};
use keystead_state::proto::{self, outcome};
use keystead_types::{KeySpec, Origin};

use super::{Operation, StateRule, rotation};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct RotateKeyOnDemand;

impl Operation for RotateKeyOnDemand {
    type Input = kms::RotateKeyOnDemandRequest;
    type Output = kms::RotateKeyOnDemandResponse;

    const NAME: &'static str = "RotateKeyOnDemand";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::Rotatable;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:RotateKeyOnDemand")])
    }

    fn suits(call: &Call<'_>, _: &Self::Input) -> Result<(), Error> {
        if call.key(0)?.spec != KeySpec::SymmetricDefault {
            // AWS says no more either.
            return Err(Error::bare(ErrorCode::UnsupportedOperationException));
        }
        rotation::suits(call, Self::NAME)?;
        rotation::refuse_replica(call)
    }

    /// How often it may be done, and whether anything waits, is for the state to say: a request
    /// that is sent again gets the first one's answer.
    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let material = match key.origin {
            Origin::External => None,
            _ => Some(call.region.next_material(&call.view, key).await?),
        };
        let command = proto::RotateKey { key: propose::key_ref(key), material };
        let result = propose::result(call, command).await?;
        Ok(Self::again(call, input, &result).ok_or_else(messages::internal)?)
    }

    fn again(call: &Call<'_>, _: &Self::Input, first: &outcome::Result) -> Option<Self::Output> {
        let outcome::Result::Done(_) = first else { return None };
        let key = call.key(0).ok()?;
        Some(kms::RotateKeyOnDemandResponse { key_id: Some(call.key_arn(key).to_string()) })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id)
    }
}
