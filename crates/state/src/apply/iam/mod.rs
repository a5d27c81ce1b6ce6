//! Users, groups, roles, managed policies and who is allowed to act. Entities are named as the request
//! named them. Every change to one moves its `rights_removed_at`: a policy that comes, goes or
//! changes may take a right away, and so may a tag, a name or a path that policies speak of.

pub(super) mod access_keys;
pub(super) mod accounts;
pub(super) mod attachments;
mod author;
pub(super) mod boundaries;
mod entity;
pub(super) mod groups;
pub(super) mod inline;
pub(super) mod managed_policies;
pub(super) mod oidc_providers;
pub(super) mod roles;
pub(super) mod sessions;
pub(super) mod tags;
pub(super) mod users;
pub(super) mod versions;

use std::str::FromStr;

use keystead_types::AccountId;

use super::{Execution, Refusal, done};
use crate::proto::{DeleteEntity, EntityKind, Reason, UpdateEntity};
use crate::transition::Transition;

pub(super) use author::check_author;

pub(super) fn update(next: &mut Transition<'_>, at: u64, op: &UpdateEntity) -> Execution {
    let (new_name, new_path) = (op.new_name.as_deref(), op.new_path.as_deref());
    let entity = op.entity.as_ref().ok_or(Reason::Malformed)?;
    match entity.kind() {
        EntityKind::User => users::update(next, at, entity, new_name, new_path),
        EntityKind::Group => groups::update(next, at, entity, new_name, new_path),
        EntityKind::Role
        | EntityKind::ManagedPolicy
        | EntityKind::OidcProvider
        | EntityKind::Unspecified => Err(Reason::Malformed.into()),
    }
}

pub(super) fn delete(next: &mut Transition<'_>, at: u64, op: &DeleteEntity) -> Execution {
    let entity = op.entity.as_ref().ok_or(Reason::Malformed)?;
    match entity.kind() {
        EntityKind::User => users::delete(next, at, entity),
        EntityKind::Group => groups::delete(next, at, entity),
        EntityKind::Role => roles::delete(next, at, entity),
        EntityKind::ManagedPolicy => managed_policies::delete(next, at, entity),
        EntityKind::OidcProvider => oidc_providers::delete(next, at, entity),
        EntityKind::Unspecified => Err(Reason::Malformed.into()),
    }
}

/// An account that a command names and that is there.
fn account(next: &Transition<'_>, number: u64) -> Result<AccountId, Reason> {
    let id = AccountId::from_number(number).ok_or(Reason::Malformed)?;
    next.view.account(id).map(|account| account.id).ok_or(Reason::AccountNotFound)
}

fn parse<T: FromStr>(text: &str) -> Result<T, Reason> {
    text.parse().map_err(|_| Reason::Malformed)
}

/// Refuses what lost a right since the request was authorised.
fn refuse_stale(rights_removed_at: u64, authorised_at: u64) -> Result<(), Refusal> {
    if rights_removed_at > authorised_at { Err(Refusal::Stale) } else { Ok(()) }
}
