//! CreateAlias: a name for a key.

use keystead_api::{Error, kms};
use keystead_state::proto;

use super::{Operation, StateRule};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct CreateAlias;

impl Operation for CreateAlias {
    type Input = kms::CreateAliasRequest;
    type Output = kms::CreateAliasResponse;

    const NAME: &'static str = "CreateAlias";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::NotPendingDeletion;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![
            Target::new_alias(input.alias_name(), "kms:CreateAlias"),
            Target::id_or_arn(input.target_key_id(), "kms:CreateAlias"),
        ])
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        let (account, name) = call.alias(0)?;
        let target = propose::key_ref(call.key(1)?);
        propose::done(call, proto::CreateAlias { account, name, target }).await?;
        Ok(Self::Output::default())
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("aliasName", &input.alias_name)
            .text("targetKeyId", &input.target_key_id)
    }
}
