//! Key policies: whom they name, and whether their authors can take them back.

use std::collections::BTreeMap;

use keystead_policy::{
    Attached, Caller, Context, Kind, NamedPrincipal, Policies, Query, can_put_key_policy,
};
use keystead_types::{AccountId, KeyArn, KeyId, PrincipalArn};

use super::{Execution, done, fresh_customer_key};
use crate::iam::NamedPolicy;
use crate::model::Policy;
use crate::proto::{self, Command, Reason};
use crate::transition::Transition;
use crate::view::View;

pub(super) fn put(
    next: &mut Transition<'_>,
    command: &Command,
    op: &proto::PutKeyPolicy,
) -> Execution {
    let mut key = fresh_customer_key(next, command.authorised_at, op.key.as_ref())?;
    let policy = given(next.view, &op.policy)?;
    if let Some(check) = &op.lockout_check {
        refuse_lockout(next.view, command, check, key.account, key.id, &policy)?;
    }
    key.policy = next.share_policy(policy);
    key.rights_removed_at = next.index();
    next.put_key(key);
    Ok(done())
}

/// The policy of this text, if it is one and all whom it names exist.
pub(super) fn given(view: &View, text: &str) -> Result<Policy, Reason> {
    let unbound = Policy::new(text, BTreeMap::new());
    if unbound.error.is_some() || unbound.document.kind() != Kind::Key {
        return Err(Reason::PolicyMalformed);
    }
    let mut ids = BTreeMap::new();
    for named in unbound.document.principals() {
        if let Some((arn, id)) = resolve(view, named).ok_or(Reason::PolicyPrincipal)? {
            ids.insert(arn, id);
        }
    }
    Ok(if ids.is_empty() { unbound } else { Policy::new(text, ids) })
}

/// The unique id behind an ARN that has one; `None` for somebody who does not exist.
pub(super) fn resolve(view: &View, named: &NamedPrincipal) -> Option<Option<(String, String)>> {
    match named {
        NamedPrincipal::Everybody | NamedPrincipal::Service(_) | NamedPrincipal::Federated(_) => {
            Some(None)
        }
        NamedPrincipal::Account(account) => view.account(*account).map(|_| None),
        NamedPrincipal::Arn(arn) => {
            let id = view.principal_id(&arn.parse().ok()?)?;
            Some(Some((arn.clone(), id.to_string())))
        }
        NamedPrincipal::UniqueId(id) => view.own_policies(id).map(|_| None),
        NamedPrincipal::CanonicalUser(_) => None,
    }
}

/// Refuses a key policy that would not let its author put another one.
pub(super) fn refuse_lockout(
    view: &View,
    command: &Command,
    check: &proto::LockoutCheck,
    account: AccountId,
    key: KeyId,
    policy: &Policy,
) -> Result<(), Reason> {
    let author: PrincipalArn = command.principal.parse().map_err(|_| Reason::Malformed)?;
    let own = view.own_policies(&command.user_id).ok_or(Reason::PolicyLockout)?;
    let caller = match &author {
        PrincipalArn::Root(account) => Caller::root(*account),
        PrincipalArn::User(arn) => {
            Caller::user(arn.account, &arn.friendly_name()).with_unique_id(&command.user_id)
        }
    };
    let region = view.region().cloned().ok_or(Reason::NotInitialised)?;
    let resource = KeyArn { region, account, id: key }.to_string();
    let query = Query {
        caller: &caller,
        action: "kms:PutKeyPolicy",
        resource: &resource,
        owner: account,
        context: &context(check),
        encryption_context: &[],
    };
    let identity: Vec<Attached<'_>> = own.identity.iter().map(NamedPolicy::attached).collect();
    let policies = Policies {
        key: Some(&policy.document),
        identity: &identity,
        boundary: own.boundary.as_ref().map(NamedPolicy::attached),
        ..Policies::default()
    };
    if can_put_key_policy(&query, &policies) { Ok(()) } else { Err(Reason::PolicyLockout) }
}

fn context(check: &proto::LockoutCheck) -> Context {
    let mut context = Context::new();
    for proto::ConditionKey { name, values, defaulted } in &check.context {
        for value in values {
            if *defaulted {
                context.add_default(name, value);
            } else {
                context.add(name, value);
            }
        }
    }
    context
}
