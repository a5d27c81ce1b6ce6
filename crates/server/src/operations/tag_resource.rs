//! TagResource: adds tags to a key, or gives those it has a new value.

use keystead_api::{Error, kms};
use keystead_state::proto;

use super::{Operation, StateRule, tags};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct TagResource;

impl Operation for TagResource {
    type Input = kms::TagResourceRequest;
    type Output = kms::TagResourceResponse;

    const NAME: &'static str = "TagResource";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::NotPendingDeletion;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:TagResource").tags(&input.tags)])
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        tags::to_map(call, &input.tags).map(|_| ())
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = propose::key_ref(call.key(0)?);
        let tags = tags::to_map(call, &input.tags)?;
        propose::done(call, proto::TagKey { key, tags }).await?;
        Ok(Self::Output::default())
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id).list("tags", tags::record(&input.tags))
    }
}
