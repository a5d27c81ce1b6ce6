//! Encapsulate: a new shared secret, in the clear and for a key.

use bytes::Bytes;
use keystead_api::{Error, kms, messages};
use keystead_crypto::spec;
use keystead_state::Key;
use keystead_types::{EncapsulationAlgorithm, KeyUsage};

use super::{Operation, StateRule, private_key};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct Encapsulate;

impl Operation for Encapsulate {
    type Input = kms::EncapsulateRequest;
    type Output = kms::EncapsulateResponse;

    const NAME: &'static str = "Encapsulate";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::EncapsulateDecapsulate);

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::any_name(input.key_id(), "kms:Encapsulate")])
    }

    fn grant_tokens(input: &Self::Input) -> &[String] {
        &input.grant_tokens
    }

    fn suits(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        algorithm_of(call.key(0)?, input.encapsulation_algorithm()).map(|_| ())
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let algorithm = algorithm_of(key, input.encapsulation_algorithm())?;
        let material = private_key::material(call, key)?;
        let made = material.encapsulate(algorithm).map_err(private_key::failed)?;
        Ok(kms::EncapsulateResponse {
            key_id: Some(call.key_arn(key).to_string()),
            shared_secret: Some(Bytes::copy_from_slice(&made.shared_secret)),
            shared_secret_ciphertext_blob: Some(made.ciphertext.into()),
            encapsulation_algorithm: input.encapsulation_algorithm,
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .name("encapsulationAlgorithm", input.encapsulation_algorithm().as_text())
            .flag("dryRun", input.dry_run)
    }
}

/// The algorithm that a request names, if the key has it.
pub(super) fn algorithm_of(
    key: &Key,
    algorithm: kms::EncapsulationAlgorithmSpec,
) -> Result<EncapsulationAlgorithm, Error> {
    let algorithm = private_key::named(algorithm.as_text())?;
    match spec::of(key.spec).encapsulation(algorithm) {
        Some(_) => Ok(algorithm),
        None => Err(messages::algorithm_incompatible(algorithm, key.spec)),
    }
}
