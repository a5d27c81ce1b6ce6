//! Which key states an operation accepts, and what it answers in the others: the table of the
//! AWS KMS developer guide, "Key states of AWS KMS keys", one rule per kind of row.

use keystead_api::{Error, messages};
use keystead_types::{KeyArn, KeyState, Origin};

/// One kind of row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateRule {
    /// Every state will do.
    Any,
    /// The key is used: it must be enabled.
    Usable,
    /// Every state but one on the way to deletion.
    NotPendingDeletion,
    /// The key is to be deleted.
    Deletable,
    /// Only a state on the way to deletion.
    PendingDeletion,
    /// The key is switched on or off.
    Switchable,
    /// It gets new material.
    Rotatable,
    /// Its automatic rotation is changed; what cannot rotate is told so before its state.
    Schedulable,
    /// Material is to be imported: the key's has to come from elsewhere.
    ImportPrepared,
    /// Material is imported.
    Imported,
    /// Imported material is taken away, also from a key that is on the way to deletion.
    ImportUndone,
}

/// Whether a key's origin and state are such that the rule accepts them.
pub(crate) fn check(
    rule: StateRule,
    origin: Origin,
    state: KeyState,
    arn: &KeyArn,
) -> Result<(), Error> {
    use KeyState as State;
    use StateRule::{ImportPrepared, ImportUndone, Imported};
    if matches!(rule, ImportPrepared | Imported | ImportUndone) && origin != Origin::External {
        return Err(messages::origin_not_valid(arn, origin));
    }
    let pending = matches!(state, State::PendingDeletion | State::PendingReplicaDeletion);
    match rule {
        StateRule::Any => Ok(()),
        StateRule::PendingDeletion if pending => Ok(()),
        StateRule::PendingDeletion => Err(messages::not_pending_deletion(arn)),
        ImportUndone if pending => Ok(()),
        _ if state == State::PendingReplicaDeletion => Err(messages::pending_replica_deletion(arn)),
        _ if pending => Err(messages::pending_deletion(arn)),
        StateRule::Deletable if state == State::Updating => Err(messages::updating(arn)),
        StateRule::Deletable | StateRule::NotPendingDeletion => Ok(()),
        StateRule::Schedulable => match state {
            State::Creating => Err(messages::creating(arn)),
            State::Disabled => Err(messages::disabled(arn)),
            _ => Ok(()),
        },
        ImportPrepared | Imported | ImportUndone => match state {
            State::Creating => Err(messages::creating(arn)),
            State::Updating if rule != Imported => Err(messages::updating(arn)),
            _ => Ok(()),
        },
        StateRule::Usable | StateRule::Switchable | StateRule::Rotatable => match state {
            State::PendingImport => Err(messages::pending_import(arn)),
            State::Creating => Err(messages::creating(arn)),
            State::Disabled if rule != StateRule::Switchable => Err(messages::disabled(arn)),
            State::Unavailable if rule == StateRule::Usable => Err(messages::unavailable(arn)),
            State::Updating if rule != StateRule::Usable => Err(messages::updating(arn)),
            _ => Ok(()),
        },
    }
}
