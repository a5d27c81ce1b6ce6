//! Access keys of users and of the roots of accounts.

use keystead_types::{AccessKeyId, AccountId, UserId};

use super::{Execution, account, done, entity, parse};
use crate::apply::Refusal;
use crate::limits::ACCESS_KEYS_PER_OWNER;
use crate::model::Credential;
use crate::proto::outcome::Result as OutcomeResult;
use crate::proto::{self, Reason};
use crate::transition::Transition;

pub(crate) fn create(next: &mut Transition<'_>, at: u64, op: &proto::CreateAccessKey) -> Execution {
    let id: AccessKeyId = parse(&op.access_key_id)?;
    let (account, user) = owner(next, at, op.account, &op.user)?;
    if next.view.credential(&id).is_some() {
        return Err(Reason::AccessKeyExists.into());
    }
    if next.view.access_keys_of(account, user.as_ref()).count() >= ACCESS_KEYS_PER_OWNER {
        return Err(Reason::AccessKeyLimit.into());
    }
    let (created, version) = (next.view.clock, next.index());
    next.put_credential(Credential {
        id,
        account,
        user,
        sealed_secret: op.sealed_secret.clone(),
        created,
        active: true,
        rights_removed_at: 0,
        version,
    });
    let access_key_id = op.access_key_id.clone();
    Ok(OutcomeResult::AccessKeyCreated(proto::AccessKeyCreated { access_key_id }))
}

pub(crate) fn update(next: &mut Transition<'_>, at: u64, op: &proto::UpdateAccessKey) -> Execution {
    let mut key = find(next, at, op.account, &op.user, &op.access_key_id)?;
    if key.active != op.active {
        if !op.active {
            key.rights_removed_at = next.index();
        }
        key.active = op.active;
        next.put_credential(key);
    }
    Ok(done())
}

pub(crate) fn delete(next: &mut Transition<'_>, at: u64, op: &proto::DeleteAccessKey) -> Execution {
    let key = find(next, at, op.account, &op.user, &op.access_key_id)?;
    next.remove_credential(&key);
    Ok(done())
}

/// An access key of the owner that a command names; another's is as good as none.
fn find(
    next: &Transition<'_>,
    at: u64,
    account: u64,
    user: &str,
    id: &str,
) -> Result<Credential, Refusal> {
    let id: AccessKeyId = parse(id)?;
    let owner = owner(next, at, account, user)?;
    let key = next.view.credential(&id).filter(|key| (key.account, key.user) == owner);
    Ok(key.map(|key| Credential::clone(key)).ok_or(Reason::AccessKeyNotFound)?)
}

fn owner(
    next: &Transition<'_>,
    at: u64,
    number: u64,
    user: &str,
) -> Result<(AccountId, Option<UserId>), Refusal> {
    if user.is_empty() {
        return Ok((account(next, number)?, None));
    }
    let user = entity::user(next, at, number, user)?;
    Ok((user.account, Some(user.id)))
}
