//! DescribeKey: the metadata of a key; an AWS-managed one is made if nobody asked for it before.

use keystead_api::{Error, kms};
use keystead_types::KeyArn;

use super::{Operation, metadata};
use crate::audit::Parameters;
use crate::managed_keys;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct DescribeKey;

impl Operation for DescribeKey {
    type Input = kms::DescribeKeyRequest;
    type Output = kms::DescribeKeyResponse;

    const NAME: &'static str = "DescribeKey";
    const READ_ONLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::any_name_or_unmade(input.key_id(), "kms:DescribeKey")])
    }

    fn grant_tokens(input: &Self::Input) -> &[String] {
        &input.grant_tokens
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        let key = match call.unmade(0) {
            Some(unmade) => managed_keys::make(call, unmade).await?,
            None => call.key(0)?.clone(),
        };
        let key_metadata = Some(metadata::key_metadata(&key, call.region.name()));
        Ok(kms::DescribeKeyResponse { key_metadata })
    }

    fn created(call: &Call<'_>, output: &Self::Output) -> Option<KeyArn> {
        call.unmade(0)?;
        output.key_metadata.as_ref()?.arn.as_ref()?.parse().ok()
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id)
    }
}
