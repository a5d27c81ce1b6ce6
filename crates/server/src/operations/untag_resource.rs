//! UntagResource: takes tags off a key; those it does not have are no error.

use keystead_api::{Error, kms};
use keystead_state::proto;

use super::{Operation, StateRule, tags};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct UntagResource;

impl Operation for UntagResource {
    type Input = kms::UntagResourceRequest;
    type Output = kms::UntagResourceResponse;

    const NAME: &'static str = "UntagResource";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::NotPendingDeletion;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:UntagResource").tag_keys(&input.tag_keys)])
    }

    fn check(_: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        input.tag_keys.iter().try_for_each(|name| tags::refuse_reserved(name))
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = propose::key_ref(call.key(0)?);
        let tag_keys = input.tag_keys.clone();
        propose::done(call, proto::UntagKey { key, tag_keys }).await?;
        Ok(Self::Output::default())
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id).texts("tagKeys", &input.tag_keys)
    }
}
