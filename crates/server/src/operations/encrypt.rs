//! Encrypt: up to 4,096 bytes under a key.

use keystead_api::{Error, kms};
use keystead_types::KeyUsage;

use super::{Operation, StateRule, refuse_members, symmetric};
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

    fn refuse_unsupported(input: &Self::Input) -> Result<(), Error> {
        refuse_members(&[("GrantTokens", !input.grant_tokens.is_empty())])
    }

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::any_name(input.key_id(), "kms:Encrypt")])
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        symmetric::check_algorithm(input.encryption_algorithm(), call.key(0)?)?;
        symmetric::context(&input.encryption_context).map(|_| ())
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let sealed = symmetric::encrypt(call, key, &input.encryption_context, input.plaintext())?;
        Ok(kms::EncryptResponse {
            ciphertext_blob: Some(sealed.blob),
            key_id: Some(call.key_arn(key).to_string()),
            encryption_algorithm: Some(kms::EncryptionAlgorithmSpec::SymmetricDefault.into()),
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .map("encryptionContext", &input.encryption_context)
            .name("encryptionAlgorithm", "SYMMETRIC_DEFAULT")
            .flag("dryRun", input.dry_run)
    }
}
