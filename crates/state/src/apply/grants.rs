//! Grants: made, and ended.

use keystead_policy::NamedPrincipal;

use super::{Execution, done, fresh_key, keys, policies};
use crate::model::{Grant, GrantPrincipal};
use crate::proto::outcome::Result as OutcomeResult;
use crate::proto::{self, Reason};
use crate::quotas::Quotas;
use crate::records::read_grant;
use crate::transition::Transition;

pub(super) fn create(
    next: &mut Transition<'_>,
    at: u64,
    quotas: Quotas,
    op: &proto::CreateGrant,
) -> Execution {
    let grant = op.grant.clone().and_then(read_grant).ok_or(Reason::Malformed)?;
    let reference =
        proto::KeyRef { id: grant.key.bytes().to_vec(), multi_region: grant.key.multi_region() };
    let key = fresh_key(next, at, Some(&reference))?;
    keys::refuse_pending_deletion(&key)?;
    let grantee = resolve(next, grant.grantee)?;
    let retiring = match grant.retiring {
        Some(retiring) => Some(resolve(next, retiring)?),
        None => None,
    };
    let grant = Grant { grantee, retiring, created: next.view.clock, ..grant };
    let id = match same(next, &grant) {
        Some(id) => id,
        None if next.view.grant(&grant.id).is_some() => return Err(Reason::Malformed.into()),
        None if next.view.grant_count(grant.key) >= quotas.grants_per_key => {
            return Err(Reason::GrantLimit.into());
        }
        None => {
            let id = grant.id;
            next.put_grant(grant);
            id
        }
    };
    Ok(OutcomeResult::GrantCreated(proto::GrantCreated { grant_id: id.bytes().to_vec() }))
}

pub(super) fn remove(next: &mut Transition<'_>, at: u64, op: &proto::RemoveGrant) -> Execution {
    let mut key = fresh_key(next, at, op.key.as_ref())?;
    let id = op.grant_id.as_slice().try_into().map_err(|_| Reason::Malformed)?;
    let grant = next.view.grant(&keystead_types::GrantId::new(id)).cloned();
    let grant = grant.filter(|grant| grant.key == key.id).ok_or(Reason::GrantNotFound)?;
    next.remove_grant(&grant);
    key.rights_removed_at = next.index();
    next.put_key(key);
    Ok(done())
}

/// An older grant of the same name that says the same.
fn same(next: &Transition<'_>, grant: &Grant) -> Option<keystead_types::GrantId> {
    if grant.name.is_empty() {
        return None;
    }
    let grantee = grant.grantee.key();
    let mut others = next.view.grants_to(grant.key, &grantee);
    others.find(|other| other.says_the_same(grant)).map(|other| other.id)
}

/// The same principal, a user or a role by the unique id that it has now.
fn resolve(next: &Transition<'_>, principal: GrantPrincipal) -> Result<GrantPrincipal, Reason> {
    let named = match policies::resolve(next.view, &principal.named) {
        Some(Some((_, id))) => NamedPrincipal::UniqueId(id),
        Some(None) => principal.named,
        None => return Err(Reason::GrantPrincipal),
    };
    Ok(GrantPrincipal { name: principal.name, named })
}
