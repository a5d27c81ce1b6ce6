//! Decrypt: opens what Encrypt, ReEncrypt and the data key operations made.

use keystead_api::{Error, ErrorCode, kms, messages};
use keystead_types::{EncryptionAlgorithm, KeyUsage};

use super::{Operation, StateRule, cipher, refuse_members};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct Decrypt;

impl Operation for Decrypt {
    type Input = kms::DecryptRequest;
    type Output = kms::DecryptResponse;

    const NAME: &'static str = "Decrypt";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::EncryptDecrypt);

    fn refuse_unsupported(input: &Self::Input) -> Result<(), Error> {
        refuse_members(&[("Recipient", input.recipient.is_some())])
    }

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let ignored = ignores_ciphertext(input)?;
        let algorithm = cipher::algorithm(input.encryption_algorithm())?;
        // Only a symmetric ciphertext tells which key made it.
        let tells = !ignored && algorithm == EncryptionAlgorithm::SymmetricDefault;
        let blob = tells.then(|| input.ciphertext_blob());
        Ok(vec![
            Target::ciphertext(blob, input.key_id.as_deref(), "keyId", "kms:Decrypt")?
                .context(&input.encryption_context)
                .fact("kms:EncryptionAlgorithm", algorithm.as_str()),
        ])
    }

    fn grant_tokens(input: &Self::Input) -> &[String] {
        &input.grant_tokens
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        let (key, algorithm) = (call.key(0)?, cipher::algorithm(input.encryption_algorithm())?);
        if !ignores_ciphertext(input)? {
            cipher::check_made_by(call, key, algorithm, input.ciphertext_blob())?;
        }
        cipher::check_context(algorithm, &input.encryption_context)
    }

    fn suits(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        let algorithm = cipher::algorithm(input.encryption_algorithm())?;
        cipher::suits(call.key(0)?, algorithm).map(|_| ())
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    fn tried_by_dry_run(input: &Self::Input) -> bool {
        ignores_ciphertext(input).is_ok_and(|ignored| !ignored)
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let (algorithm, context) =
            (cipher::algorithm(input.encryption_algorithm())?, &input.encryption_context);
        let blob = input.ciphertext_blob.clone().unwrap_or_default();
        let (plaintext, material_id) =
            cipher::decrypt(call, key, algorithm, context, &blob).await?;
        Ok(kms::DecryptResponse {
            key_id: Some(call.key_arn(key).to_string()),
            plaintext: Some(bytes::Bytes::copy_from_slice(&plaintext)),
            encryption_algorithm: cipher::answered(algorithm),
            key_material_id: material_id,
            ..Default::default()
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

/// Whether the ciphertext is left out of account, as only a dry run may ask for.
fn ignores_ciphertext(input: &kms::DecryptRequest) -> Result<bool, Error> {
    dry_run_without_ciphertext(
        input.dry_run(),
        !input.dry_run_modifiers.is_empty(),
        input.ciphertext_blob.is_some(),
    )
}

/// The rules that Decrypt and ReEncrypt share about a ciphertext that is not there.
pub(super) fn dry_run_without_ciphertext(
    dry_run: bool,
    ignore: bool,
    has_ciphertext: bool,
) -> Result<bool, Error> {
    if ignore && !dry_run {
        let text = "DryRunModifiers can only be specified when DryRun is true.";
        return Err(Error::new(ErrorCode::ValidationException, text));
    }
    if !ignore && !has_ciphertext {
        return Err(messages::required_member("ciphertextBlob"));
    }
    Ok(ignore)
}
