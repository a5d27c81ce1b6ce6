//! ListKeyPolicies: the names of a key's policies. There is one, `default`.

use keystead_api::{Error, kms};

use super::Operation;
use super::paging::List;
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct ListKeyPolicies;

/// The one policy that every key has.
pub(super) const DEFAULT_POLICY_NAME: &str = "default";

impl Operation for ListKeyPolicies {
    type Input = kms::ListKeyPoliciesRequest;
    type Output = kms::ListKeyPoliciesResponse;

    const NAME: &'static str = "ListKeyPolicies";
    const READ_ONLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:ListKeyPolicies")])
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        // There is no second page, and so no marker.
        let list = List::of(call, Self::NAME, &[Some(&call.key(0)?.id.to_string())]);
        list.after::<String>(input.marker.as_deref()).map(|_| ())
    }

    async fn execute(_: &Call<'_>, _: &Self::Input) -> Result<Self::Output, Failure> {
        Ok(kms::ListKeyPoliciesResponse {
            policy_names: vec![DEFAULT_POLICY_NAME.to_owned()],
            truncated: Some(false),
            next_marker: None,
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .number("limit", input.limit)
            .text("marker", &input.marker)
    }
}
