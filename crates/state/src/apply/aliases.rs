//! Names for keys.

use keystead_types::{AccountId, AliasName};

use super::keys::refuse_pending_deletion;
use super::{Execution, Refusal, done, fresh_customer_key, key_id};
use crate::model::{Alias, Key};
use crate::proto::{self, Reason};
use crate::quotas::Quotas;
use crate::transition::Transition;

pub(super) fn create(
    next: &mut Transition<'_>,
    at: u64,
    quotas: Quotas,
    op: &proto::CreateAlias,
) -> Execution {
    let (account, name) = owner_and_name(op.account, &op.name)?;
    let target = target(next, at, quotas, account, op.target.as_ref())?;
    if next.view.alias(account, &name).is_some() {
        return Err(Reason::AliasExists.into());
    }
    let created = next.view.clock;
    let alias = Alias { account, name, target: target.id, created, updated: created };
    remove_right(next, target);
    next.put_alias(alias);
    Ok(done())
}

pub(super) fn update(
    next: &mut Transition<'_>,
    at: u64,
    quotas: Quotas,
    op: &proto::UpdateAlias,
) -> Execution {
    let (account, name) = owner_and_name(op.account, &op.name)?;
    let alias = next.view.alias(account, &name).cloned().ok_or(Reason::AliasNotFound)?;
    let old = target_of(next, at, &alias)?;
    let target = if key_id(op.target.as_ref())? == old.id {
        refuse_pending_deletion(&old)?;
        old.id
    } else {
        let new = target(next, at, quotas, account, op.target.as_ref())?;
        if old.usage != new.usage || kind(&old) != kind(&new) {
            return Err(Reason::AliasTargetMismatch.into());
        }
        let id = new.id;
        remove_right(next, old);
        remove_right(next, new);
        id
    };
    let updated = next.view.clock;
    next.put_alias(Alias { target, updated, ..alias });
    Ok(done())
}

pub(super) fn delete(next: &mut Transition<'_>, at: u64, op: &proto::DeleteAlias) -> Execution {
    let (account, name) = owner_and_name(op.account, &op.name)?;
    let alias = next.view.alias(account, &name).cloned().ok_or(Reason::AliasNotFound)?;
    let old = target_of(next, at, &alias)?;
    remove_right(next, old);
    next.remove_alias(account, &name);
    Ok(done())
}

/// The key an alias points at. Changing the alias needs a right on that key too, so it must be
/// as fresh as the key that a command names.
fn target_of(next: &Transition<'_>, at: u64, alias: &Alias) -> Result<Key, Refusal> {
    let id = alias.target;
    let reference = proto::KeyRef { id: id.bytes().to_vec(), multi_region: id.multi_region() };
    fresh_customer_key(next, at, Some(&reference))
}

/// The key an alias is to point at: of the same account, not on its way out, with room for one.
fn target(
    next: &Transition<'_>,
    at: u64,
    quotas: Quotas,
    account: AccountId,
    key: Option<&proto::KeyRef>,
) -> Result<Key, Refusal> {
    let key = fresh_customer_key(next, at, key)?;
    if key.account != account {
        return Err(Reason::KeyNotFound.into());
    }
    refuse_pending_deletion(&key)?;
    if next.view.aliases_to(key.id).count() >= quotas.aliases_per_key {
        return Err(Reason::AliasLimit.into());
    }
    Ok(key)
}

/// Policies may refer to a key's aliases, to allow or to deny: a key that gains or loses one may
/// lose a right. It also tells who was authorised on an alias's old target that there is a new one.
fn remove_right(next: &mut Transition<'_>, key: Key) {
    next.put_key(Key { rights_removed_at: next.index(), ..key });
}

/// Symmetric, HMAC, asymmetric: what an alias may not change between.
fn kind(key: &Key) -> u8 {
    use keystead_types::KeySpec as Spec;
    match key.spec {
        Spec::SymmetricDefault => 0,
        Spec::Hmac224 | Spec::Hmac256 | Spec::Hmac384 | Spec::Hmac512 => 1,
        _ => 2,
    }
}

fn owner_and_name(account: u64, name: &str) -> Result<(AccountId, AliasName), Reason> {
    let account = AccountId::from_number(account).ok_or(Reason::Malformed)?;
    let name: AliasName = name.parse().map_err(|_| Reason::Malformed)?;
    if name.is_reserved() { Err(Reason::AliasReserved) } else { Ok((account, name)) }
}
