//! ListGrants: the grants of a key. There are none: CreateGrant is not supported.

use keystead_api::{Error, ErrorCode, kms};

use super::{Operation, paging};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct ListGrants;

impl Operation for ListGrants {
    type Input = kms::ListGrantsRequest;
    type Output = kms::ListGrantsResponse;

    const NAME: &'static str = "ListGrants";
    const READ_ONLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:ListGrants")])
    }

    fn check(_: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        paging::after::<String>(Self::NAME, input.marker.as_deref())?;
        if let Some(id) = &input.grant_id {
            let text = format!("Grant ID {id} not found");
            return Err(Error::new(ErrorCode::InvalidGrantIdException, text));
        }
        Ok(())
    }

    async fn execute(_: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        Ok(kms::ListGrantsResponse { truncated: Some(false), ..Default::default() })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .text("grantId", &input.grant_id)
            .text("granteePrincipal", &input.grantee_principal)
            .number("limit", input.limit)
            .text("marker", &input.marker)
    }
}
