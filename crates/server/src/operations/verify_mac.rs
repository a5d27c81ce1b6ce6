//! VerifyMac: whether a MAC is that of a message. There is no answer for one that is not.

use keystead_api::{Error, kms};
use keystead_types::KeyUsage;

use super::generate_mac::algorithm_of;
use super::{Operation, StateRule, private_key};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct VerifyMac;

impl Operation for VerifyMac {
    type Input = kms::VerifyMacRequest;
    type Output = kms::VerifyMacResponse;

    const NAME: &'static str = "VerifyMac";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::GenerateVerifyMac);

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let algorithm = input.mac_algorithm().as_text();
        Ok(vec![
            Target::any_name(input.key_id(), "kms:VerifyMac").fact("kms:MacAlgorithm", algorithm),
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

    fn tried_by_dry_run(_: &Self::Input) -> bool {
        true
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let algorithm = algorithm_of(key, input.mac_algorithm())?;
        private_key::material(call, key)?
            .verify_mac(algorithm, input.message(), input.mac())
            .map_err(private_key::failed)?;
        Ok(kms::VerifyMacResponse {
            key_id: Some(call.key_arn(key).to_string()),
            mac_valid: Some(true),
            mac_algorithm: input.mac_algorithm,
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .name("macAlgorithm", input.mac_algorithm().as_text())
            .flag("dryRun", input.dry_run)
    }
}
