//! PutKeyPolicy: another key policy in place of the one that a key has.

use keystead_api::{Error, kms, messages};
use keystead_policy::{Document, Kind, MAX_KEY_POLICY_BYTES, Reason};
use keystead_state::proto;

use super::list_key_policies::DEFAULT_POLICY_NAME;
use super::{Operation, get_key_policy};
use crate::audit::Parameters;
use crate::conditions::KeyFacts;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct PutKeyPolicy;

impl Operation for PutKeyPolicy {
    type Input = kms::PutKeyPolicyRequest;
    type Output = kms::PutKeyPolicyResponse;

    const NAME: &'static str = "PutKeyPolicy";
    const READ_ONLY: bool = false;
    const EMPTY_REPLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let name = input.policy_name.as_deref().unwrap_or(DEFAULT_POLICY_NAME);
        let bypass = input.bypass_policy_lockout_safety_check;
        Ok(vec![
            Target::id_or_arn(input.key_id(), "kms:PutKeyPolicy")
                .fact("kms:PolicyName", name)
                .flag("kms:BypassPolicyLockoutSafetyCheck", bypass),
        ])
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        get_key_policy::check_name(input.policy_name.as_deref())?;
        check_document(call, input.policy())
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let checked = !input.bypass_policy_lockout_safety_check();
        let lockout_check = checked.then(|| call.next_policy(&KeyFacts::from(&**key), key.account));
        let command = proto::PutKeyPolicy {
            key: propose::key_ref(key),
            policy: input.policy().to_owned(),
            lockout_check,
        };
        propose::done(call, command).await?;
        Ok(Self::Output::default())
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .text("policyName", &input.policy_name)
            .text("policy", &input.policy)
            .flag(
                "bypassPolicyLockoutSafetyCheck",
                Some(input.bypass_policy_lockout_safety_check()),
            )
    }
}

/// Refuses a text that is no key policy, and says where it is not.
pub(super) fn check_document(call: &Call<'_>, text: &str) -> Result<(), Error> {
    let most = call.region.quotas.policy_size;
    if text.len() > most {
        return Err(messages::policy_too_large(most));
    }
    match Document::parse(Kind::Key, text) {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.reason {
            Reason::TooLarge(_) => messages::policy_too_large(MAX_KEY_POLICY_BYTES),
            _ => messages::malformed_policy(error),
        }),
    }
}
