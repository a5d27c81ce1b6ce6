//! The life of a key.

use keystead_types::{
    AccountId, KeyArn, KeyManager, KeySpec, KeyState, KeyUsage, Origin, UnixMillis,
};

use super::{Execution, done, fresh_customer_key, key_id, policies, regions};
use crate::model::Key;
use crate::proto::outcome::Result as OutcomeResult;
use crate::proto::{self, Command, Reason};
use crate::quotas::Quotas;
use crate::records::{code, read_material};
use crate::regions::MultiRegion;
use crate::transition::Transition;

pub(super) fn create(
    next: &mut Transition<'_>,
    command: &Command,
    quotas: Quotas,
    op: &proto::CreateKey,
) -> Execution {
    let id = key_id(op.key.as_ref())?;
    let account = AccountId::from_number(op.account).ok_or(Reason::Malformed)?;
    if next.view.account(account).is_none() {
        return Err(Reason::AccountNotFound.into());
    }
    if next.view.key(&id).is_some() {
        return Err(Reason::KeyExists.into());
    }
    if op.tags.len() > quotas.tags_per_key {
        return Err(Reason::TagLimit.into());
    }
    let of_service = next.view.account(account).is_some_and(|account| account.service.is_some());
    if !of_service && next.view.key_count_of(account) >= quotas.keys_per_account {
        return Err(Reason::KeyLimit.into());
    }
    let region = next.view.region().cloned().ok_or(Reason::NotInitialised)?;
    // What a caller did not give is the default policy, which needs no look.
    let given = match op.policy_given {
        true => Some(policies::given(next.view, &op.policy)?),
        false => None,
    };
    if let (Some(policy), Some(check)) = (&given, &op.lockout_check) {
        let arn = KeyArn { region: region.clone(), account, id };
        policies::refuse_lockout(next.view, command, check, &arn, policy)?;
    }
    let created = next.view.clock;
    let material = match op.material.clone() {
        Some(record) => {
            let material = read_material(record).ok_or(Reason::Malformed)?;
            Some(crate::Material { created, rotation: None, ..material })
        }
        None => None,
    };
    let origin = code(op.origin, Origin::from_code).ok_or(Reason::Malformed)?;
    let spec = code(op.spec, KeySpec::from_code).ok_or(Reason::Malformed)?;
    let usage = code(op.usage, KeyUsage::from_code).ok_or(Reason::Malformed)?;
    let relatives = || Box::new(MultiRegion::alone(region));
    let policy = match given {
        Some(policy) => next.share_policy(policy),
        None => next.policy(&op.policy),
    };
    let key = Key {
        id,
        account,
        manager: KeyManager::Customer,
        spec,
        usage,
        origin,
        state: if material.is_some() { KeyState::Enabled } else { KeyState::PendingImport },
        description: op.description.as_str().into(),
        created,
        current_material: material.is_some().then_some(0),
        materials: material.into_iter().collect(),
        policy,
        tags: op.tags.clone(),
        deletion: None,
        pending_window_days: 0,
        multi_region: id.multi_region().then(relatives),
        rotation: None,
        rights_removed_at: 0,
    };
    next.put_key(key);
    Ok(OutcomeResult::KeyCreated(proto::KeyCreated { key: op.key.clone() }))
}

pub(super) fn enable(next: &mut Transition<'_>, at: u64, op: &proto::EnableKey) -> Execution {
    set_state(next, at, op.key.as_ref(), KeyState::Enabled)
}

pub(super) fn disable(next: &mut Transition<'_>, at: u64, op: &proto::DisableKey) -> Execution {
    set_state(next, at, op.key.as_ref(), KeyState::Disabled)
}

fn set_state(
    next: &mut Transition<'_>,
    at: u64,
    key: Option<&proto::KeyRef>,
    state: KeyState,
) -> Execution {
    let mut key = fresh_customer_key(next, at, key)?;
    refuse_pending_deletion(&key)?;
    match key.state {
        KeyState::PendingImport => return Err(Reason::KeyPendingImport.into()),
        KeyState::Creating => return Err(Reason::KeyCreating.into()),
        KeyState::Updating => return Err(Reason::KeyUpdating.into()),
        _ => {}
    }
    // A cancelled deletion leaves a key disabled even if it has no material to be enabled with.
    let lacks_material = state == KeyState::Enabled && !key.is_whole();
    let state = if lacks_material { KeyState::PendingImport } else { state };
    if key.state != state {
        if state == KeyState::Disabled {
            key.rights_removed_at = next.index();
        }
        key.state = state;
        next.put_key(key);
    }
    Ok(done())
}

pub(super) fn describe(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::UpdateKeyDescription,
) -> Execution {
    let mut key = fresh_customer_key(next, at, op.key.as_ref())?;
    refuse_pending_deletion(&key)?;
    key.description = op.description.as_str().into();
    next.put_key(key);
    Ok(done())
}

pub(super) fn schedule_deletion(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::ScheduleKeyDeletion,
) -> Execution {
    let mut key = fresh_customer_key(next, at, op.key.as_ref())?;
    refuse_pending_deletion(&key)?;
    if key.state == KeyState::Updating {
        return Err(Reason::KeyUpdating.into());
    }
    if key.as_primary().is_some_and(|relatives| !relatives.replicas.is_empty()) {
        // Its window begins when the last of them is gone.
        key.state = KeyState::PendingReplicaDeletion;
        key.pending_window_days = op.window_days;
        key.rights_removed_at = next.index();
        next.put_key(key);
        return Ok(done());
    }
    let deletion = next.view.clock.plus(u64::from(op.window_days) * UnixMillis::DAY);
    key.state = KeyState::PendingDeletion;
    key.deletion = Some(deletion);
    key.rights_removed_at = next.index();
    next.put_key(key);
    Ok(OutcomeResult::DeletionScheduled(proto::DeletionScheduled { deletion_ms: deletion.0 }))
}

pub(super) fn cancel_deletion(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::CancelKeyDeletion,
) -> Execution {
    let mut key = fresh_customer_key(next, at, op.key.as_ref())?;
    if !matches!(key.state, KeyState::PendingDeletion | KeyState::PendingReplicaDeletion) {
        return Err(Reason::KeyNotPendingDeletion.into());
    }
    if key.is_due(next.view.clock) {
        // Its time is over; that nobody has swept it up yet does not bring it back.
        return Err(Reason::KeyNotFound.into());
    }
    key.state = KeyState::Disabled;
    (key.deletion, key.pending_window_days) = (None, 0);
    next.put_key(key);
    Ok(done())
}

pub(super) fn delete_due(next: &mut Transition<'_>, op: &proto::DeleteDueKeys) -> Execution {
    // All of them are read before the first goes: a refused command changes nothing.
    let ids = op.keys.iter().map(|key| key_id(Some(key))).collect::<Result<Vec<_>, _>>()?;
    for id in ids {
        if let Some(key) = next.key(&id).filter(|key| key.is_due(next.view.clock)) {
            next.remove_key(&key);
            regions::end_of_replica(next, &key);
        }
    }
    Ok(done())
}

pub(super) fn refuse_pending_deletion(key: &Key) -> Result<(), Reason> {
    match key.state {
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => {
            Err(Reason::KeyPendingDeletion)
        }
        _ => Ok(()),
    }
}
