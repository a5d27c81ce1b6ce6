//! GetKeyRotationStatus: whether a key rotates by itself. None does: EnableKeyRotation is not
//! supported.

use keystead_api::{Error, kms};

use super::Operation;
use crate::audit::Parameters;
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
        Ok(kms::GetKeyRotationStatusResponse {
            key_rotation_enabled: Some(false),
            key_id: Some(call.key_arn(call.key(0)?).to_string()),
            ..Default::default()
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id)
    }
}
