//! ImportKeyMaterial: material that was made elsewhere becomes that of a key.

use keystead_api::{Error, ErrorCode, Timestamp, kms, messages};
use keystead_crypto::material::{KeyMaterial, MaterialError};
use keystead_state::proto::{self, ImportIntent, Reason, outcome};
use keystead_state::{Key, MaterialState};
use keystead_types::{KeySpec, MaterialId, UnixMillis};

use super::{Operation, StateRule};
use crate::audit::Parameters;
use crate::import_token::ImportToken;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::region::MaterialOf;
use crate::resolve::Target;

pub(crate) struct ImportKeyMaterial;

/// How far ahead material may expire.
const LONGEST: u64 = 365 * UnixMillis::DAY;

impl Operation for ImportKeyMaterial {
    type Input = kms::ImportKeyMaterialRequest;
    type Output = kms::ImportKeyMaterialResponse;

    const NAME: &'static str = "ImportKeyMaterial";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::Imported;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let mut target = Target::id_or_arn(input.key_id(), "kms:ImportKeyMaterial")
            .fact("kms:ExpirationModel", model(input).as_text());
        if let Some(valid_to) = &input.valid_to {
            target = target.fact("kms:ValidTo", valid_to.seconds.to_string());
        }
        Ok(vec![target])
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        expiry(input, call.now()).map(|_| ())?;
        if input.import_type() == kms::ImportType::NewKeyMaterial && input.key_material_id.is_some()
        {
            let text = "KeyMaterialId cannot be specified for new key material.";
            return Err(Error::new(ErrorCode::ValidationException, text));
        }
        Ok(())
    }

    fn suits(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        let key = call.key(0)?;
        let symmetric_only = [
            ("ImportType", input.import_type.is_some()),
            ("KeyMaterialDescription", input.key_material_description.is_some()),
            ("KeyMaterialId", input.key_material_id.is_some()),
        ];
        match symmetric_only.iter().find(|(_, set)| *set) {
            Some((member, _)) if key.spec != KeySpec::SymmetricDefault => {
                Err(messages::member_for_symmetric(member, call.key_arn(key)))
            }
            _ => Ok(()),
        }
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let token = ImportToken::open(call.region, key, input.import_token(), call.now())?;
        let token_expires_ms = token.expires.0;
        let material = unwrapped(call, key, token, input).await?;
        let id = material.id(&key.id, key.spec).map_err(|_| messages::internal())?;
        if input.key_material_id.as_ref().is_some_and(|named| *named != id.to_string()) {
            return Err(messages::incorrect_key_material().into());
        }
        let command = proto::ImportMaterial {
            key: propose::key_ref(key),
            material: Some(record(call, key, &material, input)?),
            intent: intent(input).into(),
            description_given: input.key_material_description.is_some(),
            token_expires_ms,
        };
        let result = propose::attempt(call, command).await?;
        if let outcome::Result::Rejected(rejected) = &result {
            return Err(rejection(call, key, id, rejected.reason()).into());
        }
        Ok(Self::again(call, input, &result).ok_or_else(messages::internal)?)
    }

    fn again(call: &Call<'_>, _: &Self::Input, first: &outcome::Result) -> Option<Self::Output> {
        let outcome::Result::MaterialImported(imported) = first else { return None };
        let id = MaterialId::new(imported.material_id.as_slice().try_into().ok()?);
        let key = call.key(0).ok()?;
        let named = key.spec == KeySpec::SymmetricDefault;
        Some(kms::ImportKeyMaterialResponse {
            key_id: Some(call.key_arn(key).to_string()),
            key_material_id: named.then(|| id.to_string()),
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .name("expirationModel", model(input).as_text())
            .time("validTo", input.valid_to)
            .name("importType", input.import_type().as_text())
            .text("keyMaterialDescription", &input.key_material_description)
            .text("keyMaterialId", &input.key_material_id)
    }
}

/// Whether the material expires: it does unless stated.
fn model(input: &kms::ImportKeyMaterialRequest) -> kms::ExpirationModelType {
    match input.expiration_model() {
        kms::ExpirationModelType::Unspecified => kms::ExpirationModelType::KeyMaterialExpires,
        stated => stated,
    }
}

/// When the material expires, if it does.
fn expiry(
    input: &kms::ImportKeyMaterialRequest,
    now: UnixMillis,
) -> Result<Option<UnixMillis>, Error> {
    let expires = model(input) == kms::ExpirationModelType::KeyMaterialExpires;
    match &input.valid_to {
        None if expires => Err(messages::valid_to_required()),
        None => Ok(None),
        Some(_) if !expires => {
            let text = "A validTo date must not be set if the ExpirationModel is \
                        KEY_MATERIAL_DOES_NOT_EXPIRE";
            Err(Error::new(ErrorCode::ValidationException, text))
        }
        Some(valid_to) => {
            let time = millis(valid_to).filter(|time| *time > now && *time <= now.plus(LONGEST));
            time.map(Some).ok_or_else(messages::valid_to_not_taken)
        }
    }
}

fn millis(time: &Timestamp) -> Option<UnixMillis> {
    let seconds = u64::try_from(time.seconds).ok()?.checked_mul(1000)?;
    let part = u64::try_from(time.nanos).ok()? / 1_000_000;
    seconds.checked_add(part).map(UnixMillis)
}

fn intent(input: &kms::ImportKeyMaterialRequest) -> ImportIntent {
    match input.import_type() {
        kms::ImportType::Unspecified => ImportIntent::Unspecified,
        kms::ImportType::NewKeyMaterial => ImportIntent::New,
        kms::ImportType::ExistingKeyMaterial => ImportIntent::Existing,
    }
}

/// What is wrapped, as material of the key.
async fn unwrapped(
    call: &Call<'_>,
    key: &Key,
    token: ImportToken,
    input: &kms::ImportKeyMaterialRequest,
) -> Result<KeyMaterial, Error> {
    let (spec, wrapped) = (key.spec, input.encrypted_key_material.clone().unwrap_or_default());
    let work = move || {
        let bytes = token
            .wrapping
            .unwrap(token.algorithm, &wrapped)
            .map_err(|_| Error::bare(ErrorCode::InvalidCiphertextException))?;
        KeyMaterial::import(spec, &bytes).map_err(|error| match error {
            MaterialError::Malformed => messages::incorrect_key_material(),
            MaterialError::Unsupported(_) | MaterialError::Crypto(_) => messages::internal(),
        })
    };
    call.region.private_keys.run(work).await?
}

/// The material as the command has it.
fn record(
    call: &Call<'_>,
    key: &Key,
    material: &KeyMaterial,
    input: &kms::ImportKeyMaterialRequest,
) -> Result<proto::MaterialRecord, Error> {
    let Key { account, id, spec, usage, origin, .. } = *key;
    let of = MaterialOf { account, id, spec, usage, origin };
    Ok(proto::MaterialRecord {
        expires_ms: expiry(input, call.now())?.map(|expires| expires.0),
        description: input.key_material_description().to_owned(),
        ..call.region.wrap_material(&call.view, &of, material)?
    })
}

fn rejection(call: &Call<'_>, key: &Key, id: MaterialId, reason: Reason) -> Error {
    if reason != Reason::MaterialPendingRotation {
        return propose::rejection(call, reason);
    }
    let view = call.region.view();
    let materials = view.key(&key.id).map(|key| &*key.materials).unwrap_or_default();
    let pending = materials.iter().find(|one| one.state == MaterialState::PendingRotation);
    let pending = pending.map(|material| material.id.to_string()).unwrap_or_default();
    messages::material_pending_rotation(id, key.id, pending)
}
