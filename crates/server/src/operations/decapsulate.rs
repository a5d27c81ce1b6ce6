//! Decapsulate: the shared secret of an encapsulation. A ciphertext that was not made for the key
//! gives another secret, which only whoever uses it can tell (FIPS 203, implicit rejection).

use bytes::Bytes;
use keystead_api::{Error, kms};
use keystead_types::KeyUsage;

use super::encapsulate::algorithm_of;
use super::{Operation, StateRule, private_key};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct Decapsulate;

impl Operation for Decapsulate {
    type Input = kms::DecapsulateRequest;
    type Output = kms::DecapsulateResponse;

    const NAME: &'static str = "Decapsulate";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::EncapsulateDecapsulate);

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::any_name(input.key_id(), "kms:Decapsulate")])
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

    fn tried_by_dry_run(_: &Self::Input) -> bool {
        true
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let algorithm = algorithm_of(key, input.encapsulation_algorithm())?;
        let secret = private_key::material(call, key)?
            .decapsulate(algorithm, input.shared_secret_ciphertext_blob())
            .map_err(private_key::failed)?;
        Ok(kms::DecapsulateResponse {
            key_id: Some(call.key_arn(key).to_string()),
            shared_secret: Some(Bytes::copy_from_slice(&secret)),
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
