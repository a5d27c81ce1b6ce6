//! UpdatePrimaryRegion: a replica becomes the primary, and the primary a replica.

use keystead_api::{Error, kms, messages};
use keystead_state::proto;

use super::{Operation, StateRule};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct UpdatePrimaryRegion;

impl Operation for UpdatePrimaryRegion {
    type Input = kms::UpdatePrimaryRegionRequest;
    type Output = kms::UpdatePrimaryRegionResponse;

    const NAME: &'static str = "UpdatePrimaryRegion";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::Usable;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![
            Target::id_or_arn(input.key_id(), "kms:UpdatePrimaryRegion")
                .fact("kms:PrimaryRegion", input.primary_region()),
        ])
    }

    fn suits(call: &Call<'_>, _: &Self::Input) -> Result<(), Error> {
        let key = call.key(0)?;
        let is_primary = key.as_primary().is_some();
        if is_primary { Ok(()) } else { Err(messages::not_primary(call.key_arn(key))) }
    }

    /// Asks the other Region, which answers once it is reached: until then the key is used, and
    /// nothing changes that is shared.
    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = propose::key_ref(call.key(0)?);
        let region = input.primary_region().to_owned();
        propose::done(call, proto::UpdatePrimaryRegion { key, region }).await?;
        Ok(Self::Output::default())
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id).text("primaryRegion", &input.primary_region)
    }
}
