//! GenerateDataKeyWithoutPlaintext: a new data key under a key, for use later.

use keystead_api::{Error, kms};
use keystead_types::{EncryptionAlgorithm, KeyUsage};

use super::generate_data_key::{data_key_length, new_data_key};
use super::{Operation, StateRule, symmetric};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct GenerateDataKeyWithoutPlaintext;

impl Operation for GenerateDataKeyWithoutPlaintext {
    type Input = kms::GenerateDataKeyWithoutPlaintextRequest;
    type Output = kms::GenerateDataKeyWithoutPlaintextResponse;

    const NAME: &'static str = "GenerateDataKeyWithoutPlaintext";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::EncryptDecrypt);

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![
            Target::any_name(input.key_id(), "kms:GenerateDataKeyWithoutPlaintext")
                .context(&input.encryption_context)
                .fact("kms:EncryptionAlgorithm", EncryptionAlgorithm::SymmetricDefault.as_str()),
        ])
    }

    fn grant_tokens(input: &Self::Input) -> &[String] {
        &input.grant_tokens
    }

    fn check(_: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        symmetric::context(&input.encryption_context)?;
        data_key_length(input.key_spec(), input.number_of_bytes).map(|_| ())
    }

    fn suits(call: &Call<'_>, _: &Self::Input) -> Result<(), Error> {
        symmetric::suits(call.key(0)?)
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let length = data_key_length(input.key_spec(), input.number_of_bytes)?;
        let (_, sealed) = new_data_key(call, &input.encryption_context, length)?;
        Ok(kms::GenerateDataKeyWithoutPlaintextResponse {
            ciphertext_blob: Some(sealed.blob),
            key_id: Some(call.key_arn(call.key(0)?).to_string()),
            key_material_id: Some(sealed.material_id),
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .name("keySpec", input.key_spec.map_or("", |_| input.key_spec().as_text()))
            .number("numberOfBytes", input.number_of_bytes)
            .map("encryptionContext", &input.encryption_context)
            .flag("dryRun", input.dry_run)
    }
}
