//! GetKeyPolicy: the key policy as it was given.

use keystead_api::{Error, ErrorCode, kms};

use super::Operation;
use super::list_key_policies::DEFAULT_POLICY_NAME;
use crate::audit::Parameters;
use crate::naming;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct GetKeyPolicy;

impl Operation for GetKeyPolicy {
    type Input = kms::GetKeyPolicyRequest;
    type Output = kms::GetKeyPolicyResponse;

    const NAME: &'static str = "GetKeyPolicy";
    const READ_ONLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let name = input.policy_name.as_deref().unwrap_or(DEFAULT_POLICY_NAME);
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:GetKeyPolicy").fact("kms:PolicyName", name)])
    }

    fn check(_: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        check_name(input.policy_name.as_deref())
    }

    async fn execute(call: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        Ok(kms::GetKeyPolicyResponse {
            policy: Some(naming::shown(&call.view, &call.key(0)?.policy)),
            policy_name: Some(DEFAULT_POLICY_NAME.to_owned()),
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new().text("keyId", &input.key_id).text("policyName", &input.policy_name)
    }
}

/// Refuses the name of a policy that no key has.
pub(super) fn check_name(name: Option<&str>) -> Result<(), Error> {
    match name {
        None | Some(DEFAULT_POLICY_NAME) => Ok(()),
        Some(name) => {
            let text = format!("No such policy exists: {name}");
            Err(Error::new(ErrorCode::NotFoundException, text))
        }
    }
}
