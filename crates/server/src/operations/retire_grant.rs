//! RetireGrant: ends a grant, on behalf of a principal that it names.

use keystead_api::{Error, ErrorCode, kms};
use keystead_state::proto;

use super::Operation;
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct RetireGrant;

impl Operation for RetireGrant {
    type Input = kms::RetireGrantRequest;
    type Output = kms::RetireGrantResponse;

    const NAME: &'static str = "RetireGrant";
    const READ_ONLY: bool = false;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let token = input.grant_token.as_deref();
        match (token, input.key_id.as_deref(), input.grant_id.as_deref()) {
            (Some(token), None, None) => Ok(vec![Target::grant_token(token, "kms:RetireGrant")]),
            (None, Some(key), Some(id)) => Ok(vec![Target::grant(key, id, "kms:RetireGrant")]),
            _ => {
                let text = "You must specify either a grant token, or a key ARN and a grant ID.";
                Err(Error::new(ErrorCode::ValidationException, text))
            }
        }
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        let (grant, key) = call.grant(0)?;
        let (key, grant_id) = (propose::key_ref(key), grant.id.bytes().to_vec());
        propose::done(call, proto::RemoveGrant { key, grant_id }).await?;
        Ok(Self::Output::default())
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .text("grantId", &input.grant_id)
            .flag("dryRun", input.dry_run)
    }
}
