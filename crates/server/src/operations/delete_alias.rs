//! DeleteAlias: takes a name away; the key stays.

use keystead_api::{Error, kms};
use keystead_state::proto;

use super::{Operation, StateRule};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct DeleteAlias;

impl Operation for DeleteAlias {
    type Input = kms::DeleteAliasRequest;
    type Output = kms::DeleteAliasResponse;

    const NAME: &'static str = "DeleteAlias";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::Any;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![
            Target::alias(input.alias_name(), "kms:DeleteAlias"),
            Target::alias_target(input.alias_name(), "kms:DeleteAlias"),
        ])
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        let (account, name) = call.alias(0)?;
        propose::done(call, proto::DeleteAlias { account, name }).await?;
        Ok(Self::Output::default())
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("aliasName", &input.alias_name)
    }
}
