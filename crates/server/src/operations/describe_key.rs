//! DescribeKey: the metadata of a key.

use keystead_api::{Error, kms};

use super::{Operation, metadata, refuse_members};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct DescribeKey;

impl Operation for DescribeKey {
    type Input = kms::DescribeKeyRequest;
    type Output = kms::DescribeKeyResponse;

    const NAME: &'static str = "DescribeKey";
    const READ_ONLY: bool = true;

    fn refuse_unsupported(input: &Self::Input) -> Result<(), Error> {
        refuse_members(&[("GrantTokens", !input.grant_tokens.is_empty())])
    }

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::any_name(input.key_id(), "kms:DescribeKey")])
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        let key_metadata = Some(metadata::key_metadata(call.key(0)?, call.region.name()));
        Ok(kms::DescribeKeyResponse { key_metadata })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id)
    }
}
