//! DeriveSharedSecret: what a key and the public key of a peer agree on.

use bytes::Bytes;
use keystead_api::{Error, kms, messages};
use keystead_crypto::spec;
use keystead_state::Key;
use keystead_types::{KeyAgreementAlgorithm, KeyUsage};

use super::{Operation, StateRule, private_key, refuse_members};
use crate::audit::Parameters;
use crate::convert;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct DeriveSharedSecret;

impl Operation for DeriveSharedSecret {
    type Input = kms::DeriveSharedSecretRequest;
    type Output = kms::DeriveSharedSecretResponse;

    const NAME: &'static str = "DeriveSharedSecret";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::KeyAgreement);

    fn refuse_unsupported(input: &Self::Input) -> Result<(), Error> {
        refuse_members(&[("Recipient", input.recipient.is_some())])
    }

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let algorithm = input.key_agreement_algorithm().as_text();
        Ok(vec![
            Target::any_name(input.key_id(), "kms:DeriveSharedSecret")
                .fact("kms:KeyAgreementAlgorithm", algorithm),
        ])
    }

    fn grant_tokens(input: &Self::Input) -> &[String] {
        &input.grant_tokens
    }

    fn suits(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        algorithm_of(call.key(0)?, input).map(|_| ())
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    fn tried_by_dry_run(_: &Self::Input) -> bool {
        true
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let algorithm = algorithm_of(key, input)?;
        let secret = private_key::material(call, key)?
            .agree(algorithm, input.public_key())
            .map_err(private_key::failed)?;
        Ok(kms::DeriveSharedSecretResponse {
            key_id: Some(call.key_arn(key).to_string()),
            shared_secret: Some(Bytes::copy_from_slice(&secret)),
            key_agreement_algorithm: input.key_agreement_algorithm,
            key_origin: convert::member(kms::OriginType::from_text(key.origin.as_str())),
            ..Default::default()
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .name("keyAgreementAlgorithm", input.key_agreement_algorithm().as_text())
            .flag("dryRun", input.dry_run)
    }
}

/// The algorithm that a request names, if the key has it.
fn algorithm_of(
    key: &Key,
    input: &kms::DeriveSharedSecretRequest,
) -> Result<KeyAgreementAlgorithm, Error> {
    let algorithm = private_key::named(input.key_agreement_algorithm().as_text())?;
    match spec::of(key.spec).agreement(algorithm) {
        Some(_) => Ok(algorithm),
        None => Err(messages::algorithm_incompatible(algorithm, key.spec)),
    }
}
