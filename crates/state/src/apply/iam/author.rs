//! Whether whoever asked may still ask.

use std::str::FromStr;

use keystead_types::{AccountId, Arn, OidcProviderId, PolicyId, RoleId, UserId};

use super::sessions::refuse_ended;
use super::{parse, refuse_stale};
use crate::apply::Refusal;
use crate::iam::{Role, User};
use crate::proto::{Command, Reason};
use crate::transition::Transition;

/// A command whose author lost a right after the request was authorised decides nothing any more.
/// An author is an access key, a user or a role, the session of either with the managed policies that
/// narrow it and the OIDC provider that answered for it, and the account of all.
pub(in crate::apply) fn check_author(
    next: &Transition<'_>,
    command: &Command,
) -> Result<(), Refusal> {
    let (at, issued) = (command.authorised_at, command.session_issued_ms);
    let user: Option<UserId> = unique_id(&command.user_id)?;
    let role: Option<RoleId> = unique_id(&command.role_id)?;
    check_credential(next, command, user)?;
    check_service(next, command)?;
    for id in &command.session_policy_ids {
        check_policy(next, parse(id)?, at)?;
    }
    if let Some(id) = user {
        let user = next.view.user(&id).ok_or(Refusal::Stale)?;
        check_account(next, user.account, at)?;
        check_user(next, user, at)?;
        refuse_ended(user.sessions_valid_after, issued)?;
    }
    if let Some(id) = role {
        let role = next.view.role(&id).ok_or(Refusal::Stale)?;
        check_account(next, role.account, at)?;
        check_role(next, role, at)?;
        refuse_ended(role.sessions_valid_after, issued)?;
    }
    if let Some(id) = unique_id::<OidcProviderId>(&command.provider_id)? {
        next.view.oidc_provider(&id).ok_or(Refusal::Stale)?;
    }
    // Those who come with a certificate have no access key, but an ARN.
    let account = Arn::parse(&command.principal).and_then(|arn| arn.account.parse().ok());
    let Some(account) = account else { return Ok(()) };
    if user.is_none() && role.is_none() {
        let root = next.view.account(account).map(|account| account.sessions_valid_after);
        root.map_or(Ok(()), |valid_after| refuse_ended(valid_after, issued))?;
    }
    check_account(next, account, at)
}

fn unique_id<T: FromStr>(text: &str) -> Result<Option<T>, Reason> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
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
    // A session of a role may have been issued to anybody's access key.
    let owned = key.user == user || !command.role_id.is_empty();
    // An id that was deleted may come again; what it signed before is not the new one's.
    if !key.active || !owned || key.version > command.authorised_at {
        return Err(Refusal::Stale);
    }
    refuse_stale(key.rights_removed_at, command.authorised_at)?;
    check_account(next, key.account, command.authorised_at)
}

/// The service that forwarded the request still has the access key that it did so with.
fn check_service(next: &Transition<'_>, command: &Command) -> Result<(), Refusal> {
    if command.via_access_key_id.is_empty() {
        return Ok(());
    }
    let (id, at) = (parse(&command.via_access_key_id)?, command.authorised_at);
    let key = next.view.credential(&id).ok_or(Refusal::Stale)?;
    if !key.active || key.version > at {
        return Err(Refusal::Stale);
    }
    refuse_stale(key.rights_removed_at, at)?;
    let account = next.view.account(key.account).ok_or(Refusal::Stale)?;
    refuse_ended(account.sessions_valid_after, command.session_issued_ms)?;
    check_account(next, key.account, at)
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

fn check_role(next: &Transition<'_>, role: &Role, at: u64) -> Result<(), Refusal> {
    refuse_stale(role.rights_removed_at, at)?;
    let policies = role.permissions.attached.iter().chain(&role.boundary);
    policies.into_iter().try_for_each(|id| check_policy(next, *id, at))
}

fn check_policy(next: &Transition<'_>, id: PolicyId, at: u64) -> Result<(), Refusal> {
    let policy = next.view.managed_policy(&id).ok_or(Refusal::Stale)?;
    refuse_stale(policy.rights_removed_at, at)
}
