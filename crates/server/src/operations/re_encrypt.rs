//! ReEncrypt: from one key or context to another, without the plaintext leaving the service.

use keystead_api::{Error, kms};
use keystead_types::{EncryptionAlgorithm, KeyUsage};

use super::decrypt::dry_run_without_ciphertext;
use super::{Operation, StateRule, cipher};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::{Resource, Target};

pub(crate) struct ReEncrypt;

impl Operation for ReEncrypt {
    type Input = kms::ReEncryptRequest;
    type Output = kms::ReEncryptResponse;

    const NAME: &'static str = "ReEncrypt";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::EncryptDecrypt);

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let ignored = ignores_ciphertext(input)?;
        let algorithm = cipher::algorithm(input.source_encryption_algorithm())?;
        let tells = !ignored && algorithm == EncryptionAlgorithm::SymmetricDefault;
        let blob = tells.then(|| input.ciphertext_blob());
        let source = input.source_key_id.as_deref();
        Ok(vec![
            Target::ciphertext(blob, source, "sourceKeyId", "kms:ReEncryptFrom")?
                .context(&input.source_encryption_context)
                .fact("kms:EncryptionAlgorithm", algorithm.as_str()),
            Target::any_name(input.destination_key_id(), "kms:ReEncryptTo")
                .context(&input.destination_encryption_context)
                .fact(
                    "kms:EncryptionAlgorithm",
                    cipher::recorded(input.destination_encryption_algorithm()),
                ),
        ])
    }

    fn relate(resources: &mut [Resource<'_>]) {
        let keys: Vec<_> = resources.iter().filter_map(Resource::key).map(|key| key.id).collect();
        let same = matches!(keys.as_slice(), [source, destination] if source == destination);
        for resource in resources {
            resource.facts.add_flag("kms:ReEncryptOnSameKey", Some(same));
        }
    }

    fn grant_tokens(input: &Self::Input) -> &[String] {
        &input.grant_tokens
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        let (from, to) = algorithms(input)?;
        if !ignores_ciphertext(input)? {
            cipher::check_made_by(call, call.key(0)?, from, input.ciphertext_blob())?;
        }
        cipher::check_context(from, &input.source_encryption_context)?;
        cipher::check_context(to, &input.destination_encryption_context)
    }

    fn suits(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        let (from, to) = algorithms(input)?;
        cipher::suits(call.key(0)?, from)?;
        cipher::suits(call.key(1)?, to).map(|_| ())
    }

    fn dry_run(input: &Self::Input) -> bool {
        input.dry_run()
    }

    fn tried_by_dry_run(input: &Self::Input) -> bool {
        ignores_ciphertext(input).is_ok_and(|ignored| !ignored)
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let (source, destination) = (call.key(0)?, call.key(1)?);
        let (from, to) = algorithms(input)?;
        let ciphertext = input.ciphertext_blob.clone().unwrap_or_default();
        let context = &input.source_encryption_context;
        let (plaintext, source_material) =
            cipher::decrypt(call, source, from, context, &ciphertext).await?;
        let context = &input.destination_encryption_context;
        let (blob, material) = cipher::encrypt(call, destination, to, context, &plaintext)?;
        Ok(kms::ReEncryptResponse {
            ciphertext_blob: Some(blob),
            source_key_id: Some(call.key_arn(source).to_string()),
            key_id: Some(call.key_arn(destination).to_string()),
            source_encryption_algorithm: cipher::answered(from),
            destination_encryption_algorithm: cipher::answered(to),
            source_key_material_id: source_material,
            destination_key_material_id: material,
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .name(
                "sourceEncryptionAlgorithm",
                cipher::recorded(input.source_encryption_algorithm()),
            )
            .name(
                "destinationEncryptionAlgorithm",
                cipher::recorded(input.destination_encryption_algorithm()),
            )
            .map("sourceEncryptionContext", &input.source_encryption_context)
            .map("destinationEncryptionContext", &input.destination_encryption_context)
            .text("sourceKeyId", &input.source_key_id)
            .text("destinationKeyId", &input.destination_key_id)
            .flag("dryRun", input.dry_run)
    }
}

/// The algorithm of the source and that of the destination.
fn algorithms(
    input: &kms::ReEncryptRequest,
) -> Result<(EncryptionAlgorithm, EncryptionAlgorithm), Error> {
    let from = cipher::algorithm(input.source_encryption_algorithm())?;
    Ok((from, cipher::algorithm(input.destination_encryption_algorithm())?))
}

/// Whether the ciphertext is left out of account, as only a dry run may ask for.
fn ignores_ciphertext(input: &kms::ReEncryptRequest) -> Result<bool, Error> {
    dry_run_without_ciphertext(
        input.dry_run(),
        !input.dry_run_modifiers.is_empty(),
        input.ciphertext_blob.is_some(),
    )
}
