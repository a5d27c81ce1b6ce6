//! Encrypt: up to 4,096 bytes under a key.

use keystead_api::{Error, kms};
use keystead_types::KeyUsage;

use super::{Operation, StateRule, cipher};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct Encrypt;

impl Operation for Encrypt {
    type Input = kms::EncryptRequest;
    type Output = kms::EncryptResponse;

    const NAME: &'static str = "Encrypt";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::EncryptDecrypt);

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let algorithm = cipher::recorded(input.encryption_algorithm());
        Ok(vec![
            Target::any_name(input.key_id(), "kms:Encrypt")
                .context(&input.encryption_context)
                .fact("kms:EncryptionAlgorithm", algorithm),
        ])
    }

    fn grant_tokens(input: &Self::Input) -> &[String] {
        &input.grant_tokens
    }

    fn check(_: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        let algorithm = cipher::algorithm(input.encryption_algorithm())?;
        cipher::check_context(algorithm, &input.encryption_context)
    }

    fn suits(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        let algorithm = cipher::algorithm(input.encryption_algorithm())?;
        cipher::takes(call.key(0)?, algorithm, input.plaintext())
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let (algorithm, context) =
            (cipher::algorithm(input.encryption_algorithm())?, &input.encryption_context);
        let (blob, _) = cipher::encrypt(call, key, algorithm, context, input.plaintext())?;
        Ok(kms::EncryptResponse {
            ciphertext_blob: Some(blob),
            key_id: Some(call.key_arn(key).to_string()),
            encryption_algorithm: cipher::answered(algorithm),
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .map("encryptionContext", &input.encryption_context)
            .name("encryptionAlgorithm", cipher::recorded(input.encryption_algorithm()))
            .flag("dryRun", input.dry_run)
    }
}
