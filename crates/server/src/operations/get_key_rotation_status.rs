//! GetKeyRotationStatus: whether a key rotates by itself, and when next.

use keystead_api::{Error, kms, messages};
use keystead_types::KeyState;

use super::Operation;
use crate::audit::Parameters;
use crate::convert;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct GetKeyRotationStatus;

impl Operation for GetKeyRotationStatus {
    type Input = kms::GetKeyRotationStatusRequest;
    type Output = kms::GetKeyRotationStatusResponse;

    const NAME: &'static str = "GetKeyRotationStatus";
    const READ_ONLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:GetKeyRotationStatus")])
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let deleting =
            matches!(key.state, KeyState::PendingDeletion | KeyState::PendingReplicaDeletion);
        let rotation = key.rotation.as_ref().filter(|_| !deleting);
        let period = rotation.map(|rotation| i32::try_from(rotation.period_days));
        Ok(kms::GetKeyRotationStatusResponse {
            key_rotation_enabled: Some(rotation.is_some()),
            key_id: Some(call.key_arn(key).to_string()),
            rotation_period_in_days: period.transpose().map_err(|_| messages::internal())?,
            next_rotation_date: rotation.map(|rotation| convert::timestamp(rotation.next)),
            // None is ever under way: the material is there as soon as the state says so.
            on_demand_rotation_start_date: None,
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id)
    }
}
