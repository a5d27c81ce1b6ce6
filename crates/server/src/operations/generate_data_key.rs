//! GenerateDataKey: a new data key, in the clear and under a key.

use std::collections::BTreeMap;

use keystead_api::{Error, ErrorCode, kms, messages};
use keystead_types::{EncryptionAlgorithm, KeyUsage};
use zeroize::Zeroizing;

use super::symmetric::{self, Sealed};
use super::{Operation, StateRule, refuse_members};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct GenerateDataKey;

impl Operation for GenerateDataKey {
    type Input = kms::GenerateDataKeyRequest;
    type Output = kms::GenerateDataKeyResponse;

    const NAME: &'static str = "GenerateDataKey";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::EncryptDecrypt);

    fn refuse_unsupported(input: &Self::Input) -> Result<(), Error> {
        refuse_members(&[("Recipient", input.recipient.is_some())])
    }

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![
            Target::any_name(input.key_id(), "kms:GenerateDataKey")
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
        let (data_key, sealed) = new_data_key(call, &input.encryption_context, length)?;
        Ok(kms::GenerateDataKeyResponse {
            ciphertext_blob: Some(sealed.blob),
            plaintext: Some(bytes::Bytes::copy_from_slice(&data_key)),
            key_id: Some(call.key_arn(call.key(0)?).to_string()),
            key_material_id: Some(sealed.material_id),
            ..Default::default()
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

/// How many bytes a data key has: by its spec or by number, and never by both.
pub(super) fn data_key_length(
    spec: kms::DataKeySpec,
    number_of_bytes: Option<i32>,
) -> Result<usize, Error> {
    match (spec, number_of_bytes) {
        (kms::DataKeySpec::Aes256, None) => Ok(32),
        (kms::DataKeySpec::Aes128, None) => Ok(16),
        (kms::DataKeySpec::Unspecified, Some(count)) => {
            usize::try_from(count).map_err(|_| messages::internal())
        }
        _ => {
            let text = "Please specify either number of bytes or key spec.";
            Err(Error::new(ErrorCode::ValidationException, text))
        }
    }
}

/// A new data key of this many bytes, in the clear and under the call's key.
pub(super) fn new_data_key(
    call: &Call<'_>,
    context: &BTreeMap<String, String>,
    length: usize,
) -> Result<(Zeroizing<Vec<u8>>, Sealed), Error> {
    let mut data_key = Zeroizing::new(vec![0; length]);
    keystead_crypto::random::fill(&mut data_key).map_err(|_| messages::internal())?;
    let sealed = symmetric::encrypt(call, call.key(0)?, context, &data_key)?;
    Ok((data_key, sealed))
}
