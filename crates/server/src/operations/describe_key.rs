//! DescribeKey: the metadata of a key; an AWS-managed one is made if nobody asked for it before.

use keystead_api::{Error, kms};

use super::{Operation, metadata};
use crate::audit::Parameters;
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
        let key_metadata = Some(metadata::key_metadata(call.key(0)?, call.region.name()));
        Ok(kms::DescribeKeyResponse { key_metadata })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id)
    }
}
