//! UpdateAlias: points a name at another key of the same kind.

use keystead_api::{Error, kms};
use keystead_state::proto;

use super::{Operation, StateRule};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct UpdateAlias;

impl Operation for UpdateAlias {
    type Input = kms::UpdateAliasRequest;
    type Output = kms::UpdateAliasResponse;

    const NAME: &'static str = "UpdateAlias";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::Any;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![
            Target::alias(input.alias_name(), "kms:UpdateAlias"),
            Target::alias_target(input.alias_name(), "kms:UpdateAlias"),
            Target::id_or_arn(input.target_key_id(), "kms:UpdateAlias"),
        ])
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        let (account, name) = call.alias(0)?;
        let target = propose::key_ref(call.key(2)?);
        propose::done(call, proto::UpdateAlias { account, name, target }).await?;
        Ok(Self::Output::default())
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("aliasName", &input.alias_name)
            .text("targetKeyId", &input.target_key_id)
    }
}
