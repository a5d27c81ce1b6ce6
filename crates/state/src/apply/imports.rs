//! Key material that was made elsewhere: how it comes to a key and goes again.

use keystead_types::{KeySpec, KeyState, MaterialId, Origin, UnixMillis};

use super::keys::refuse_pending_deletion;
use super::{Execution, Refusal, done, fresh_customer_key, key_id};
use crate::model::{Key, Material, MaterialState};
use crate::proto::outcome::Result as OutcomeResult;
use crate::proto::{self, ImportIntent, Reason};
use crate::records::code;
use crate::transition::Transition;

pub(super) fn import(next: &mut Transition<'_>, at: u64, op: &proto::ImportMaterial) -> Execution {
    let clock = next.view.clock;
    let mut key = imported_key(next, at, op.key.as_ref())?;
    refuse_pending_deletion(&key)?;
    let material = read(op, clock).ok_or(Reason::Malformed)?;
    if op.token_expires_ms <= clock.0 {
        return Err(Reason::ImportTokenExpired.into());
    }
    if material.expires.is_some_and(|expires| expires <= clock) {
        return Err(Reason::MaterialExpired.into());
    }
    let material_id = material.id.bytes().to_vec();
    let known = key.materials.iter().position(|one| one.id == material.id);
    let new = match op.intent() {
        ImportIntent::Unspecified => key.materials.is_empty(),
        ImportIntent::New => true,
        ImportIntent::Existing => false,
    };
    match known {
        Some(place) if !new => renew(&mut key.materials[place], material, op.description_given),
        None if new => add(&mut key, material)?,
        _ => return Err(Reason::MaterialMismatch.into()),
    }
    if key.state == KeyState::PendingImport && key.is_whole() {
        key.state = KeyState::Enabled;
    }
    next.put_key(key);
    Ok(OutcomeResult::MaterialImported(proto::MaterialImported { material_id }))
}

pub(super) fn delete(next: &mut Transition<'_>, at: u64, op: &proto::DeleteMaterial) -> Execution {
    let mut key = imported_key(next, at, op.key.as_ref())?;
    let material = match op.material_id.as_slice() {
        [] => key.current(),
        id => {
            let id = MaterialId::new(id.try_into().map_err(|_| Reason::Malformed)?);
            let named = key.materials.iter().find(|material| material.id == id);
            Some(named.ok_or(Reason::MaterialNotFound)?)
        }
    };
    let Some((id, present)) = material.map(|material| (material.id, material.is_present())) else {
        // Nothing was ever imported.
        return Ok(OutcomeResult::MaterialDeleted(proto::MaterialDeleted::default()));
    };
    if present {
        key.take_material(id);
        key.rights_removed_at = next.index();
        next.put_key(key);
    }
    let material_id = id.bytes().to_vec();
    Ok(OutcomeResult::MaterialDeleted(proto::MaterialDeleted { material_id }))
}

pub(super) fn expire(next: &mut Transition<'_>, op: &proto::ExpireMaterials) -> Execution {
    // All of them are read before the first is changed: a refused command changes nothing.
    let ids = op.keys.iter().map(|key| key_id(Some(key))).collect::<Result<Vec<_>, _>>()?;
    for id in ids {
        let Some(key) = next.key(&id) else { continue };
        let mut key = Key::clone(&key);
        if key.expire(next.view.clock) {
            key.rights_removed_at = next.index();
            next.put_key(key);
        }
    }
    Ok(done())
}

/// The key a command names, without what has expired of it, if its material comes from elsewhere.
fn imported_key(
    next: &Transition<'_>,
    authorised_at: u64,
    key: Option<&proto::KeyRef>,
) -> Result<Key, Refusal> {
    let mut key = fresh_customer_key(next, authorised_at, key)?;
    if key.origin != Origin::External {
        return Err(Reason::KeyNotImported.into());
    }
    if key.expire(next.view.clock) {
        key.rights_removed_at = next.index();
    }
    Ok(key)
}

/// The material of a command, as one that waits for a rotation.
fn read(op: &proto::ImportMaterial, created: UnixMillis) -> Option<Material> {
    let record = op.material.as_ref()?;
    let origin = code(record.origin, Origin::from_code)?;
    if origin != Origin::External || record.wrapped.is_empty() {
        return None;
    }
    Some(Material {
        id: MaterialId::new(record.id.as_slice().try_into().ok()?),
        wrapped: record.wrapped.as_slice().into(),
        origin,
        state: MaterialState::PendingRotation,
        created,
        expires: record.expires_ms.map(UnixMillis),
        description: record.description.as_str().into(),
        rotation: None,
    })
}

/// A material that the key has had is there again, or gets another date or description.
fn renew(known: &mut Material, again: Material, described: bool) {
    (known.wrapped, known.expires) = (again.wrapped, again.expires);
    if described {
        known.description = again.description;
    }
}

/// The first material of a key is what it encrypts with from now on; another one waits.
fn add(key: &mut Key, material: Material) -> Result<(), Reason> {
    let mut materials = key.materials.to_vec();
    if materials.is_empty() {
        key.current_material = Some(0);
        materials.push(Material { state: MaterialState::Current, ..material });
    } else if key.spec != KeySpec::SymmetricDefault {
        return Err(Reason::MaterialMismatch);
    } else if materials.iter().any(|one| one.state == MaterialState::PendingRotation) {
        return Err(Reason::MaterialPendingRotation);
    } else {
        materials.push(material);
    }
    key.materials = materials.into();
    Ok(())
}
