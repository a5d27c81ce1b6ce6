//! GenerateDataKeyPair: a new key pair, its private key in the clear and under a key.

use std::collections::BTreeMap;

use bytes::Bytes;
use keystead_api::{Error, kms, messages};
use keystead_crypto::material::{DataKeyPair, MaterialError};
use keystead_crypto::spec;
use keystead_types::{EncryptionAlgorithm, KeySpec, KeyUsage};

use super::symmetric::{self, Sealed};
use super::{Operation, StateRule, refuse_members};
use crate::audit::Parameters;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct GenerateDataKeyPair;

impl Operation for GenerateDataKeyPair {
    type Input = kms::GenerateDataKeyPairRequest;
    type Output = kms::GenerateDataKeyPairResponse;

    const NAME: &'static str = "GenerateDataKeyPair";
    const READ_ONLY: bool = true;
    const STATES: StateRule = StateRule::Usable;
    const USAGE: Option<KeyUsage> = Some(KeyUsage::EncryptDecrypt);

    fn refuse_unsupported(input: &Self::Input) -> Result<(), Error> {
        refuse_members(&[("Recipient", input.recipient.is_some())])
    }

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![
            Target::any_name(input.key_id(), "kms:GenerateDataKeyPair")
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
        Ok(kms::GenerateDataKeyPairResponse {
            private_key_ciphertext_blob: Some(sealed.blob),
            private_key_plaintext: Some(Bytes::copy_from_slice(&pair.private_key)),
            public_key: Some(pair.public_key.into()),
            key_id: Some(call.key_arn(call.key(0)?).to_string()),
            key_pair_spec: input.key_pair_spec,
            key_material_id: Some(sealed.material_id),
            ..Default::default()
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

/// The spec of the pair, if there are pairs of it.
pub(super) fn pair_spec(spec: kms::DataKeyPairSpec) -> Result<KeySpec, Error> {
    let spec = super::private_key::named(spec.as_text())?;
    if spec::of(spec).data_key_pair { Ok(spec) } else { Err(messages::unsupported_spec(spec)) }
}

/// A new pair, and its private key under the call's key.
pub(super) async fn new_pair(
    call: &Call<'_>,
    context: &BTreeMap<String, String>,
    spec: KeySpec,
) -> Result<(DataKeyPair, Sealed), Error> {
    let generate = move || DataKeyPair::generate(spec);
    let pair =
        if spec::of(spec).slow { call.region.generation.run(generate).await? } else { generate() };
    let pair = pair.map_err(|_: MaterialError| messages::internal())?;
    let sealed = symmetric::encrypt(call, call.key(0)?, context, &pair.private_key)?;
    Ok((pair, sealed))
}
