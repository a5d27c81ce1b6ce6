//! Verify: whether a signature is that of a message. There is no answer for one that is not.

use keystead_api::{Error, kms};
use keystead_types::KeyUsage;

use super::signing::{self, Scheme};
use super::{Operation, StateRule, private_key};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct Verify;

impl Operation for Verify {
    type Input = kms::VerifyRequest;
    type Output = kms::VerifyResponse;

    const NAME: &'static str = "Verify";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::SignVerify);

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let algorithm = input.signing_algorithm().as_text();
        Ok(vec![
            Target::any_name(input.key_id(), "kms:Verify")
                .fact("kms:SigningAlgorithm", algorithm)
                .fact("kms:MessageType", signing::message_type(input.message_type())),
        ])
    }

    fn grant_tokens(input: &Self::Input) -> &[String] {
        &input.grant_tokens
    }

    fn suits(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        scheme(input)?.suits(call.key(0)?, input.message())
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    fn tried_by_dry_run(_: &Self::Input) -> bool {
        true
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let Scheme { algorithm, message_type } = scheme(input)?;
        private_key::material(call, key)?
            .verify(algorithm, message_type, input.message(), input.signature())
            .map_err(private_key::failed)?;
        Ok(kms::VerifyResponse {
            key_id: Some(call.key_arn(key).to_string()),
            signature_valid: Some(true),
            signing_algorithm: input.signing_algorithm,
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        let algorithm = input.signing_algorithm();
        signing::record(&input.key_id, algorithm, input.message_type(), input.dry_run)
    }
}

fn scheme(input: &kms::VerifyRequest) -> Result<Scheme, Error> {
    Scheme::of(input.signing_algorithm(), input.message_type())
}
