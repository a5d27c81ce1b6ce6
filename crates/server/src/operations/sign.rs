//! Sign: the signature of a message, of its digest, or of its representative.

use keystead_api::{Error, kms};
use keystead_crypto::material::KeyMaterial;
use keystead_types::KeyUsage;

use super::signing::{self, Scheme};
use super::{Operation, StateRule, private_key};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct Sign;

impl Operation for Sign {
    type Input = kms::SignRequest;
    type Output = kms::SignResponse;

    const NAME: &'static str = "Sign";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::SignVerify);

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let algorithm = input.signing_algorithm().as_text();
        Ok(vec![
            Target::any_name(input.key_id(), "kms:Sign")
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

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let Scheme { algorithm, message_type } = scheme(input)?;
        let message = input.message.clone().unwrap_or_default();
        let sign = move |material: &KeyMaterial| material.sign(algorithm, message_type, &message);
        let signature = private_key::with(call, key, sign).await?;
        Ok(kms::SignResponse {
            key_id: Some(call.key_arn(key).to_string()),
            signature: Some(signature.into()),
            signing_algorithm: input.signing_algorithm,
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        let algorithm = input.signing_algorithm();
        signing::record(&input.key_id, algorithm, input.message_type(), input.dry_run)
    }
}

fn scheme(input: &kms::SignRequest) -> Result<Scheme, Error> {
    Scheme::of(input.signing_algorithm(), input.message_type())
}
