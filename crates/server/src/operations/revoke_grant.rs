//! RevokeGrant: ends a grant, on behalf of who manages the key.

use keystead_api::{Error, kms, messages};
use keystead_state::proto;

use super::Operation;
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct RevokeGrant;

impl Operation for RevokeGrant {
    type Input = kms::RevokeGrantRequest;
    type Output = kms::RevokeGrantResponse;

    const NAME: &'static str = "RevokeGrant";
    const READ_ONLY: bool = false;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![
            Target::id_or_arn(input.key_id(), "kms:RevokeGrant")
                .flag("kms:GrantIsForAWSResource", Some(false)),
        ])
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        let key = call.key(0)?.id;
        let grant = input.grant_id().parse().ok().and_then(|id| call.view.grant(&id));
        match grant.filter(|grant| grant.key == key) {
            Some(_) => Ok(()),
            None => Err(messages::grant_not_found(input.grant_id())),
        }
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let grant = input.grant_id().parse().ok().and_then(|id| call.view.grant(&id));
        let grant = grant.ok_or_else(|| messages::grant_not_found(input.grant_id()))?;
        let (key, grant_id) = (propose::id_ref(grant.key), grant.id.bytes().to_vec());
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
