//! ReEncrypt: from one key or context to another, without the plaintext leaving the service.

use keystead_api::{Error, kms};
use keystead_types::KeyUsage;

use super::decrypt::dry_run_without_ciphertext;
use super::{Operation, StateRule, refuse_members, symmetric};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct ReEncrypt;

impl Operation for ReEncrypt {
    type Input = kms::ReEncryptRequest;
    type Output = kms::ReEncryptResponse;

    const NAME: &'static str = "ReEncrypt";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::EncryptDecrypt);

    fn refuse_unsupported(input: &Self::Input) -> Result<(), Error> {
        refuse_members(&[("GrantTokens", !input.grant_tokens.is_empty())])
    }

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let ignored = ignores_ciphertext(input)?;
        let blob = (!ignored).then(|| input.ciphertext_blob());
        let source = input.source_key_id.as_deref();
        Ok(vec![
            Target::ciphertext(blob, source, "SourceKeyId", "kms:ReEncryptFrom")?,
            Target::any_name(input.destination_key_id(), "kms:ReEncryptTo"),
        ])
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        let (source, destination) = (call.key(0)?, call.key(1)?);
        if !ignores_ciphertext(input)? {
            symmetric::check_made_by(call, source, input.ciphertext_blob())?;
        }
        symmetric::check_algorithm(input.source_encryption_algorithm(), source)?;
        symmetric::check_algorithm(input.destination_encryption_algorithm(), destination)?;
        symmetric::context(&input.source_encryption_context)?;
        symmetric::context(&input.destination_encryption_context).map(|_| ())
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let (source, destination) = (call.key(0)?, call.key(1)?);
        let (plaintext, source_material) = symmetric::decrypt(
            call,
            source,
            &input.source_encryption_context,
            input.ciphertext_blob(),
        )?;
        let context = &input.destination_encryption_context;
        let sealed = symmetric::encrypt(call, destination, context, &plaintext)?;
        let algorithm = Some(kms::EncryptionAlgorithmSpec::SymmetricDefault.into());
        Ok(kms::ReEncryptResponse {
            ciphertext_blob: Some(sealed.blob),
            source_key_id: Some(call.key_arn(source).to_string()),
            key_id: Some(call.key_arn(destination).to_string()),
            source_encryption_algorithm: algorithm,
            destination_encryption_algorithm: algorithm,
            source_key_material_id: Some(source_material),
            destination_key_material_id: Some(sealed.material_id),
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .name("sourceEncryptionAlgorithm", "SYMMETRIC_DEFAULT")
            .name("destinationEncryptionAlgorithm", "SYMMETRIC_DEFAULT")
            .map("sourceEncryptionContext", &input.source_encryption_context)
            .map("destinationEncryptionContext", &input.destination_encryption_context)
            .text("sourceKeyId", &input.source_key_id)
            .text("destinationKeyId", &input.destination_key_id)
            .flag("dryRun", input.dry_run)
    }
}

/// Whether the ciphertext is left out of account, as only a dry run may ask for.
fn ignores_ciphertext(input: &kms::ReEncryptRequest) -> Result<bool, Error> {
    dry_run_without_ciphertext(
        input.dry_run(),
        !input.dry_run_modifiers.is_empty(),
        input.ciphertext_blob.is_some(),
    )
}
