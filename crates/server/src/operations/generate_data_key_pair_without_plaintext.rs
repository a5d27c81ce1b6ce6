//! GenerateDataKeyPairWithoutPlaintext: a new key pair, its private key under a key, for use later.

use keystead_api::{Error, kms};
use keystead_types::{EncryptionAlgorithm, KeySpec, KeyUsage};

use super::generate_data_key_pair::{new_pair, pair_spec};
use super::{Operation, StateRule, symmetric};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct GenerateDataKeyPairWithoutPlaintext;

impl Operation for GenerateDataKeyPairWithoutPlaintext {
    type Input = kms::GenerateDataKeyPairWithoutPlaintextRequest;
    type Output = kms::GenerateDataKeyPairWithoutPlaintextResponse;

    const NAME: &'static str = "GenerateDataKeyPairWithoutPlaintext";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::EncryptDecrypt);

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![
            Target::any_name(input.key_id(), "kms:GenerateDataKeyPairWithoutPlaintext")
                .context(&input.encryption_context)
                .fact("kms:EncryptionAlgorithm", EncryptionAlgorithm::SymmetricDefault.as_str())
                .fact("kms:DataKeyPairSpec", input.key_pair_spec().as_text()),
        ])
    }

    fn grant_tokens(input: &Self::Input) -> &[String] {
        &input.grant_tokens
    }

    fn check(_: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        symmetric::context(&input.encryption_context)?;
        pair_spec(input.key_pair_spec()).map(|_| ())
    }

    fn suits(call: &Call<'_>, _: &Self::Input) -> Result<(), Error> {
        symmetric::suits(call.key(0)?)
    }

    fn pair_spec(input: &Self::Input) -> Option<KeySpec> {
        pair_spec(input.key_pair_spec()).ok()
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let spec = pair_spec(input.key_pair_spec())?;
        let (pair, sealed) = new_pair(call, &input.encryption_context, spec).await?;
        Ok(kms::GenerateDataKeyPairWithoutPlaintextResponse {
            private_key_ciphertext_blob: Some(sealed.blob),
            public_key: Some(pair.public_key.into()),
            key_id: Some(call.key_arn(call.key(0)?).to_string()),
            key_pair_spec: input.key_pair_spec,
            key_material_id: Some(sealed.material_id),
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .name("keyPairSpec", input.key_pair_spec().as_text())
            .map("encryptionContext", &input.encryption_context)
            .flag("dryRun", input.dry_run)
    }
}
