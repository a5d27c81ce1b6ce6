//! GenerateMac: the MAC of a message.

use keystead_api::{Error, kms, messages};
use keystead_crypto::spec;
use keystead_state::Key;
use keystead_types::{KeyUsage, MacAlgorithm};

use super::{Operation, StateRule, private_key};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct GenerateMac;

impl Operation for GenerateMac {
    type Input = kms::GenerateMacRequest;
    type Output = kms::GenerateMacResponse;

    const NAME: &'static str = "GenerateMac";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::GenerateVerifyMac);

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let algorithm = input.mac_algorithm().as_text();
        Ok(vec![
            Target::any_name(input.key_id(), "kms:GenerateMac").fact("kms:MacAlgorithm", algorithm),
        ])
    }

    fn grant_tokens(input: &Self::Input) -> &[String] {
        &input.grant_tokens
    }

    fn suits(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        algorithm_of(call.key(0)?, input.mac_algorithm()).map(|_| ())
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let algorithm = algorithm_of(key, input.mac_algorithm())?;
        let material = private_key::material(call, key)?;
        let mac = material.mac(algorithm, input.message()).map_err(private_key::failed)?;
        Ok(kms::GenerateMacResponse {
            mac: Some(mac.into()),
            mac_algorithm: input.mac_algorithm,
            key_id: Some(call.key_arn(key).to_string()),
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .name("macAlgorithm", input.mac_algorithm().as_text())
            .flag("dryRun", input.dry_run)
    }
}

/// The algorithm that a request names, if the key has it.
pub(super) fn algorithm_of(
    key: &Key,
    algorithm: kms::MacAlgorithmSpec,
) -> Result<MacAlgorithm, Error> {
    let algorithm = private_key::named(algorithm.as_text())?;
    match spec::of(key.spec).mac(algorithm) {
        Some(_) => Ok(algorithm),
        None => Err(messages::algorithm_incompatible(algorithm, key.spec)),
    }
}
