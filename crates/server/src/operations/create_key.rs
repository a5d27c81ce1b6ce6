//! CreateKey: a new key, usable as soon as this returns, unless its material is to be imported.

use keystead_api::{Error, ErrorCode, kms, messages};
use keystead_crypto::material::KeyMaterial;
use keystead_crypto::spec;
use keystead_state::proto::{self, outcome};
use keystead_types::{KeyArn, KeyId, KeySpec, KeyUsage, Origin};

use super::private_key::named;
use super::{Operation, metadata, put_key_policy, refuse_members, tags};
use crate::audit::Parameters;
use crate::conditions::KeyFacts;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::Target;

pub(crate) struct CreateKey;

impl Operation for CreateKey {
    type Input = kms::CreateKeyRequest;
    type Output = kms::CreateKeyResponse;

    const NAME: &'static str = "CreateKey";
    const READ_ONLY: bool = false;

    fn refuse_unsupported(input: &Self::Input) -> Result<(), Error> {
        use kms::OriginType::{self, AwsKms, External};
        let origin = input.origin();
        refuse_members(&[
            ("Origin", !matches!(origin, OriginType::Unspecified | AwsKms | External)),
            ("CustomKeyStoreId", input.custom_key_store_id.is_some()),
            ("XksKeyId", input.xks_key_id.is_some()),
        ])
    }

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let described = |action| {
            let (spec, usage) = named_spec_and_usage(input);
            Target::account(action)
                .fact("kms:KeySpec", spec)
                .fact("kms:CustomerMasterKeySpec", spec)
                .fact("kms:KeyUsage", usage)
                .fact("kms:CustomerMasterKeyUsage", usage)
                .fact("kms:KeyOrigin", origin(input).as_str())
                .flag("kms:MultiRegion", Some(input.multi_region()))
                .flag(
                    "kms:BypassPolicyLockoutSafetyCheck",
                    input.bypass_policy_lockout_safety_check,
                )
                .tags(&input.tags)
        };
        let mut targets = vec![described("kms:CreateKey")];
        if !input.tags.is_empty() {
            targets.push(described("kms:TagResource"));
        }
        Ok(targets)
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        let (spec, _) = spec_and_usage(input)?;
        if origin(input) == Origin::External && !KeyMaterial::is_importable(spec) {
            return Err(messages::not_importable(spec));
        }
        if let Some(given) = &input.policy {
            put_key_policy::check_document(call, given)?;
        }
        tags::to_map(call, &input.tags).map(|_| ())
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let (spec, usage) = spec_and_usage(input)?;
        let id = KeyId::from_random(call.region.entropy()?, input.multi_region());
        let (tags, origin) = (tags::to_map(call, &input.tags)?, origin(input));
        let (region, account) = (call.region, call.account());
        let material = match origin {
            Origin::External => None,
            _ => Some(region.new_material(&call.view, account, id, spec, usage).await?),
        };
        let facts = KeyFacts {
            id,
            spec,
            usage,
            origin,
            primary: input.multi_region().then(|| call.region.name()),
            tags: &tags,
        };
        let checked = input.policy.is_some() && !input.bypass_policy_lockout_safety_check();
        let lockout_check = checked.then(|| call.next_policy(&facts, call.account()));
        let command = proto::CreateKey {
            key: propose::id_ref(id),
            account: call.account().number(),
            spec: spec.code().into(),
            usage: usage.code().into(),
            origin: origin.code().into(),
            description: input.description().to_owned(),
            material,
            policy: input
                .policy
                .clone()
                .unwrap_or_else(|| keystead_policy::default_key_policy(call.account())),
            policy_given: input.policy.is_some(),
            lockout_check,
            tags,
        };
        let outcome::Result::KeyCreated(created) = propose::result(call, command).await? else {
            return Err(messages::internal().into());
        };
        // A request that was sent twice names the key that the first one made.
        let id = propose::ref_id(created.key.as_ref()).ok_or_else(messages::internal)?;
        let view = call.region.view();
        let key = view.key(&id).ok_or_else(messages::internal)?;
        let key_metadata = Some(metadata::key_metadata(key, call.region.name()));
        Ok(kms::CreateKeyResponse { key_metadata })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("policy", &input.policy)
            .text("description", &input.description)
            .name(
                "keyUsage",
                input.key_usage.map_or("ENCRYPT_DECRYPT", |_| input.key_usage().as_text()),
            )
            .name(
                "keySpec",
                input.key_spec.map_or("SYMMETRIC_DEFAULT", |_| input.key_spec().as_text()),
            )
            .name("origin", input.origin.map_or("AWS_KMS", |_| input.origin().as_text()))
            .flag("multiRegion", Some(input.multi_region()))
            .flag(
                "bypassPolicyLockoutSafetyCheck",
                Some(input.bypass_policy_lockout_safety_check()),
            )
            .list("tags", tags::record(&input.tags))
    }

    fn created(_: &Call<'_>, output: &Self::Output) -> Option<KeyArn> {
        output.key_metadata.as_ref()?.arn.as_ref()?.parse().ok()
    }

    fn record_response(_: &Call<'_>, output: &Self::Output) -> Parameters {
        Parameters::new().message("keyMetadata", output.key_metadata.as_ref())
    }
}

/// Where the material comes from: from here unless stated.
fn origin(input: &kms::CreateKeyRequest) -> Origin {
    match input.origin() {
        kms::OriginType::External => Origin::External,
        _ => Origin::AwsKms,
    }
}

/// What kind of key is asked for: `CustomerMasterKeySpec` is the old name of `KeySpec`.
fn spec_and_usage(input: &kms::CreateKeyRequest) -> Result<(KeySpec, KeyUsage), Error> {
    let spec = match (input.key_spec, input.customer_master_key_spec) {
        (Some(_), Some(_)) => {
            let text = "You cannot specify KeySpec and CustomerMasterKeySpec in the same \
                        request. CustomerMasterKeySpec is deprecated.";
            return Err(Error::new(ErrorCode::ValidationException, text));
        }
        (Some(_), None) => input.key_spec().as_text(),
        (None, Some(_)) => input.customer_master_key_spec().as_text(),
        (None, None) => KeySpec::SymmetricDefault.as_str(),
    };
    let spec: KeySpec = named(spec)?;
    if !spec::of(spec).supported() {
        return Err(messages::unsupported_spec(spec));
    }
    let usage = match input.key_usage {
        Some(_) => named(input.key_usage().as_text())?,
        None if spec == KeySpec::SymmetricDefault => KeyUsage::EncryptDecrypt,
        None => return Err(messages::usage_required()),
    };
    match spec::of(spec).usage(usage) {
        Some(_) => Ok((spec, usage)),
        None => Err(messages::usage_incompatible(usage, spec)),
    }
}

/// Spec and usage by name, as conditions ask about them, whether or not they suit each other.
fn named_spec_and_usage(input: &kms::CreateKeyRequest) -> (&'static str, &'static str) {
    let spec = match (input.key_spec, input.customer_master_key_spec) {
        (Some(_), _) => input.key_spec().as_text(),
        (None, Some(_)) => input.customer_master_key_spec().as_text(),
        (None, None) => KeySpec::SymmetricDefault.as_str(),
    };
    let usage = match input.key_usage {
        Some(_) => input.key_usage().as_text(),
        None => KeyUsage::EncryptDecrypt.as_str(),
    };
    (spec, usage)
}
