//! Whether whoever asked may still ask.

use keystead_types::{AccountId, Arn, PolicyId, UserId};

use super::{parse, refuse_stale};
use crate::apply::Refusal;
use crate::iam::User;
use crate::proto::Command;
use crate::transition::Transition;

/// A command whose author lost a right after the request was authorised decides nothing any more.
/// An author is an access key, a user, and the account of both.
pub(in crate::apply) fn check_author(
    next: &Transition<'_>,
    command: &Command,
) -> Result<(), Refusal> {
    let at = command.authorised_at;
    let user = match command.user_id.as_str() {
        "" => None,
        id => Some(parse(id)?),
    };
    check_credential(next, command, user)?;
    if let Some(id) = user {
        let user = next.view.user(&id).ok_or(Refusal::Stale)?;
        check_account(next, user.account, at)?;
        check_user(next, user, at)?;
    }
    // Those who come with a certificate have no access key, but an ARN.
    let account = Arn::parse(&command.principal).and_then(|arn| arn.account.parse().ok());
    account.map_or(Ok(()), |account| check_account(next, account, at))
}

fn check_credential(
    next: &Transition<'_>,
    command: &Command,
    user: Option<UserId>,
) -> Result<(), Refusal> {
    if command.access_key_id.is_empty() {
        return Ok(());
    }
    let id = parse(&command.access_key_id)?;
    let key = next.view.credential(&id).ok_or(Refusal::Stale)?;
    // An id that was deleted may come again; what it signed before is not the new one's.
    if !key.active || key.user != user || key.version > command.authorised_at {
        return Err(Refusal::Stale);
    }
    refuse_stale(key.rights_removed_at, command.authorised_at)?;
    check_account(next, key.account, command.authorised_at)
}

fn check_account(next: &Transition<'_>, id: AccountId, at: u64) -> Result<(), Refusal> {
    match next.view.account(id) {
        Some(account) if account.suspended => Err(Refusal::Stale),
        Some(account) => refuse_stale(account.rights_removed_at, at),
        None => Ok(()),
    }
}

fn check_user(next: &Transition<'_>, user: &User, at: u64) -> Result<(), Refusal> {
    refuse_stale(user.rights_removed_at, at)?;
    let policies = user.permissions.attached.iter().chain(&user.boundary);
    policies.into_iter().try_for_each(|id| check_policy(next, *id, at))?;
    for id in &user.groups {
        let group = next.view.group(id).ok_or(Refusal::Stale)?;
        refuse_stale(group.rights_removed_at, at)?;
        group.permissions.attached.iter().try_for_each(|id| check_policy(next, *id, at))?;
    }
    Ok(())
}

fn check_policy(next: &Transition<'_>, id: PolicyId, at: u64) -> Result<(), Refusal> {
    let policy = next.view.managed_policy(&id).ok_or(Refusal::Stale)?;
    refuse_stale(policy.rights_removed_at, at)
}
