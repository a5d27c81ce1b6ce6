//! New material for keys that exist: when it falls due, or when somebody asks for it.

use keystead_types::{KeyState, Origin, UnixMillis};

use super::keys::refuse_pending_deletion;
use super::{Execution, done, fresh_customer_key, key_id};
use crate::limits::ON_DEMAND_ROTATIONS;
use crate::model::{Key, Material, MaterialRotation, MaterialState, Rotation};
use crate::proto::outcome::Result as OutcomeResult;
use crate::proto::{self, Reason};
use crate::records::read_material;
use crate::transition::Transition;

/// The days that may lie between two automatic rotations.
const PERIOD_DAYS: std::ops::RangeInclusive<u32> = 90..=2560;
/// No rotation on demand takes place when an automatic one does so soon.
const NEAR: u64 = 20 * 60 * 1000;

pub(super) fn enable(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::EnableKeyRotation,
) -> Execution {
    let mut key = schedulable(next, at, op.key.as_ref())?;
    if !PERIOD_DAYS.contains(&op.period_days) {
        return Err(Reason::Malformed.into());
    }
    key.rotation = Some(Box::new(from_now(next, op.period_days)));
    next.put_key(key);
    Ok(done())
}

pub(super) fn disable(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::DisableKeyRotation,
) -> Execution {
    let mut key = schedulable(next, at, op.key.as_ref())?;
    if key.rotation.take().is_some() {
        next.put_key(key);
    }
    Ok(done())
}

/// Rotates on demand, which leaves the dates of automatic rotations alone.
pub(super) fn rotate(next: &mut Transition<'_>, at: u64, op: &proto::RotateKey) -> Execution {
    let mut key = fresh_customer_key(next, at, op.key.as_ref())?;
    let clock = next.view.clock;
    if key.expire(clock) {
        key.rights_removed_at = next.index();
    }
    refuse_unusable(&key)?;
    if !key.can_rotate() {
        return Err(Reason::Malformed.into());
    }
    if key.spreads() {
        return Err(Reason::MaterialSpreading.into());
    }
    if key.on_demand_rotations() >= ON_DEMAND_ROTATIONS {
        return Err(Reason::RotationLimit.into());
    }
    if key.rotation_due().is_some_and(|due| due <= clock.plus(NEAR)) {
        return Err(Reason::RotationNear.into());
    }
    let rotation = MaterialRotation { at: clock, on_demand: true };
    match key.origin {
        Origin::External => make_pending_current(&mut key, rotation)?,
        _ => add_current(&mut key, op.material.as_ref(), rotation)?,
    }
    next.put_key(key);
    Ok(done())
}

/// Rotates what is still there, enabled and due; of what is not, nothing is said.
pub(super) fn rotate_due(next: &mut Transition<'_>, op: &proto::RotateDueKeys) -> Execution {
    let clock = next.view.clock;
    let mut rotated: Vec<(_, Key)> = Vec::with_capacity(op.rotations.len());
    // All of them are made before the first is put: a refused command changes nothing.
    for due in &op.rotations {
        let id = key_id(due.key.as_ref())?;
        let is_due = |key: &Key| key.rotation_due().is_some_and(|due| due <= clock);
        let Some(key) = next.key(&id).filter(|key| is_due(key)) else { continue };
        if rotated.iter().any(|(_, other)| other.id == id) {
            continue;
        }
        let mut key = Key::clone(&key);
        let rotation = MaterialRotation { at: clock, on_demand: false };
        add_current(&mut key, due.material.as_ref(), rotation)?;
        let period_days = key.rotation.as_ref().map(|rotation| rotation.period_days);
        key.rotation = period_days.map(|days| Box::new(from_now(next, days)));
        rotated.push((due.key.clone(), key));
    }
    let mut keys = Vec::with_capacity(rotated.len());
    for (name, key) in rotated {
        next.put_key(key);
        keys.extend(name);
    }
    Ok(OutcomeResult::KeysRotated(proto::KeysRotated { keys }))
}

/// The key whose automatic rotation a command changes.
fn schedulable(
    next: &Transition<'_>,
    at: u64,
    key: Option<&proto::KeyRef>,
) -> Result<Key, super::Refusal> {
    let key = fresh_customer_key(next, at, key)?;
    refuse_unusable(&key)?;
    if !key.can_rotate() || key.origin != Origin::AwsKms {
        return Err(Reason::Malformed.into());
    }
    Ok(key)
}

fn refuse_unusable(key: &Key) -> Result<(), Reason> {
    refuse_pending_deletion(key)?;
    if key.as_replica().is_some() {
        return Err(Reason::KeyNotPrimary);
    }
    match key.state {
        KeyState::Disabled => Err(Reason::KeyDisabled),
        KeyState::PendingImport => Err(Reason::KeyPendingImport),
        // What a primary shares stays as it is while another one takes over from it.
        KeyState::Updating if key.is_succeeded() => Err(Reason::KeyUpdating),
        _ => Ok(()),
    }
}

pub(super) fn from_now(next: &Transition<'_>, period_days: u32) -> Rotation {
    let period = u64::from(period_days) * UnixMillis::DAY;
    Rotation { period_days, next: next.view.clock.plus(period) }
}

/// Makes new material the current one. The old one stays, for what it encrypted. Where there are
/// replicas, they are to have it first.
fn add_current(
    key: &mut Key,
    material: Option<&proto::MaterialRecord>,
    rotation: MaterialRotation,
) -> Result<(), Reason> {
    let material = material.cloned().and_then(read_material).ok_or(Reason::Malformed)?;
    // Ciphertexts name their material by the first half of its id.
    let (prefix, _) = material.id.bytes().split_first_chunk().ok_or(Reason::Malformed)?;
    if !material.is_present() || key.material_by_prefix(prefix).is_some() {
        return Err(Reason::Malformed);
    }
    let spreads = key.as_primary().is_some_and(|relatives| !relatives.replicas.is_empty());
    let state = if spreads { MaterialState::Spreading } else { MaterialState::Current };
    let (created, origin) = (rotation.at, key.origin);
    let material = Material { created, origin, state, rotation: Some(rotation), ..material };
    if !spreads {
        retire_current(key);
        key.current_material = u32::try_from(key.materials.len()).ok();
    }
    let mut materials = std::mem::take(&mut key.materials).into_vec();
    materials.push(material);
    key.materials = materials.into();
    Ok(())
}

/// Makes the imported material that waits the current one.
fn make_pending_current(key: &mut Key, rotation: MaterialRotation) -> Result<(), Reason> {
    let pending = key.materials.iter().position(|material| {
        material.state == MaterialState::PendingRotation && material.is_present()
    });
    let pending = pending.ok_or(Reason::NoPendingMaterial)?;
    retire_current(key);
    key.current_material = u32::try_from(pending).ok();
    let material = &mut key.materials[pending];
    material.state = MaterialState::Current;
    material.rotation = Some(rotation);
    Ok(())
}

fn retire_current(key: &mut Key) {
    for material in &mut key.materials {
        if material.state == MaterialState::Current {
            material.state = MaterialState::NonCurrent;
        }
    }
}
