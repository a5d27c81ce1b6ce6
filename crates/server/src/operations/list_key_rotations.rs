//! ListKeyRotations: when a key got which material, the oldest first.

use keystead_api::{Error, kms, messages};
use keystead_state::{Key, Material, MaterialState};
use keystead_types::{MaterialId, Origin};

use super::paging::{self, List};
use super::{Operation, rotation};
use crate::audit::Parameters;
use crate::convert;
use crate::pipeline::{Call, Failure};
use crate::resolve::Target;

pub(crate) struct ListKeyRotations;

impl Operation for ListKeyRotations {
    type Input = kms::ListKeyRotationsRequest;
    type Output = kms::ListKeyRotationsResponse;

    const NAME: &'static str = "ListKeyRotations";
    const READ_ONLY: bool = true;

    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        Ok(vec![Target::id_or_arn(input.key_id(), "kms:ListKeyRotations")])
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        let list = list(call, input)?;
        start(&list, call.key(0)?, input).map(|_| ())
    }

    fn suits(call: &Call<'_>, _: &Self::Input) -> Result<(), Error> {
        rotation::suits(call, Self::NAME)
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let all = input.include_key_material() == kms::IncludeKeyMaterial::AllKeyMaterial;
        let list = list(call, input)?;
        let later = key.materials.iter().skip(start(&list, key, input)?);
        let page = list.page(
            paging::limit(input.limit, 100, 1000),
            later.filter(|material| all || material.rotation.is_some()),
            |material| material.id.to_string(),
            |material| entry(key, material),
        )?;
        Ok(kms::ListKeyRotationsResponse {
            rotations: page.items,
            truncated: Some(page.next_marker.is_some()),
            next_marker: page.next_marker,
        })
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .name(
                "includeKeyMaterial",
                input.include_key_material.map_or("", |_| input.include_key_material().as_text()),
            )
            .number("limit", input.limit)
            .text("marker", &input.marker)
    }
}

fn list<'a>(call: &'a Call<'_>, input: &kms::ListKeyRotationsRequest) -> Result<List<'a>, Error> {
    let key = call.key(0)?.id.to_string();
    let which = input.include_key_material.map(|_| input.include_key_material().as_text());
    Ok(List::of(call, ListKeyRotations::NAME, &[Some(&key), which]))
}

/// The index of the material at which the page starts.
fn start(list: &List<'_>, key: &Key, input: &kms::ListKeyRotationsRequest) -> Result<usize, Error> {
    let after: Option<MaterialId> = list.after(input.marker.as_deref())?;
    let Some(after) = after else { return Ok(0) };
    let at = key.materials.iter().position(|material| material.id == after);
    at.map(|at| at + 1).ok_or_else(messages::invalid_marker)
}

fn entry(key: &Key, material: &Material) -> kms::RotationsListEntry {
    let state = match material.state {
        MaterialState::Current => kms::KeyMaterialState::Current,
        MaterialState::NonCurrent => kms::KeyMaterialState::NonCurrent,
        MaterialState::PendingRotation => kms::KeyMaterialState::PendingRotation,
        // It was rotated, but does not encrypt yet.
        MaterialState::Spreading => kms::KeyMaterialState::NonCurrent,
    };
    let kind = |on_demand| match on_demand {
        true => kms::RotationType::OnDemand,
        false => kms::RotationType::Automatic,
    };
    let entry = kms::RotationsListEntry {
        key_id: Some(key.id.to_string()),
        key_material_id: Some(material.id.to_string()),
        key_material_state: Some(state.into()),
        rotation_date: material.rotation.map(|rotation| convert::timestamp(rotation.at)),
        rotation_type: material.rotation.map(|rotation| kind(rotation.on_demand).into()),
        ..Default::default()
    };
    if key.origin == Origin::External { imported(entry, material) } else { entry }
}

/// The same, with what there is to say about imported material.
fn imported(entry: kms::RotationsListEntry, material: &Material) -> kms::RotationsListEntry {
    use kms::ExpirationModelType::{KeyMaterialDoesNotExpire, KeyMaterialExpires};
    let there = material.is_present();
    let import = if there { kms::ImportState::Imported } else { kms::ImportState::PendingImport };
    let expires = material.expires.filter(|_| there);
    let model = if expires.is_some() { KeyMaterialExpires } else { KeyMaterialDoesNotExpire };
    let description = material.description.to_string();
    kms::RotationsListEntry {
        import_state: Some(import.into()),
        expiration_model: there.then_some(model.into()),
        valid_to: expires.map(convert::timestamp),
        key_material_description: Some(description).filter(|text| !text.is_empty()),
        ..entry
    }
}
