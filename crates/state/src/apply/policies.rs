//! Key policies: whom they name, and whether their authors can take them back.

use std::collections::BTreeMap;

use keystead_policy::{
    Attached, Caller, Context, Kind, NamedPrincipal, Policies, Query, can_put_key_policy,
};
use keystead_types::{IamArn, KeyArn, PrincipalArn, SessionArn};

use super::{Execution, done, fresh_customer_key};
use crate::iam::{NamedPolicy, in_force};
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
        let region = next.view.region().cloned().ok_or(Reason::NotInitialised)?;
        let arn = KeyArn { region, account: key.account, id: key.id };
        refuse_lockout(next.view, command, check, &arn, &policy)?;
    }
    key.policy = next.share_policy(policy);
    key.rights_removed_at = next.index();
    next.put_key(key);
    Ok(done())
}

/// The policy of this text, if it is one and all whom it names exist.
pub(super) fn given(view: &View, text: &str) -> Result<Policy, Reason> {
    bound(view, Kind::Key, |principals| Policy::new(text, principals))
}

/// The trust policy of this text, if it is one and all whom it names exist.
pub(super) fn trust(view: &View, text: &str) -> Result<Policy, Reason> {
    bound(view, Kind::Trust, |principals| Policy::trust(text, principals))
}

/// A policy that names each user and role by its unique id.
fn bound(
    view: &View,
    kind: Kind,
    make: impl Fn(BTreeMap<String, String>) -> Policy,
) -> Result<Policy, Reason> {
    let unbound = make(BTreeMap::new());
    if unbound.error.is_some() || unbound.document.kind() != kind {
        return Err(Reason::PolicyMalformed);
    }
    let mut ids = BTreeMap::new();
    for named in unbound.document.principals() {
        if let Some((arn, id)) = resolve(view, named).ok_or(Reason::PolicyPrincipal)? {
            ids.insert(arn, id);
        }
    }
    Ok(if ids.is_empty() { unbound } else { make(ids) })
}

/// The unique id behind an ARN that has one; `None` for somebody who does not exist.
pub(super) fn resolve(view: &View, named: &NamedPrincipal) -> Option<Option<(String, String)>> {
    match named {
        NamedPrincipal::Everybody | NamedPrincipal::Service(_) | NamedPrincipal::Federated(_) => {
            Some(None)
        }
        NamedPrincipal::Account(account) => view.account(*account).map(|_| None),
        NamedPrincipal::Arn(arn) => {
            // A session has no id of its own that would outlast it.
            if let Ok(session) = arn.parse::<SessionArn>() {
                return view.role_named(session.account, &session.role).map(|_| None);
            }
            let id = view.unique_id(&arn.parse().ok()?)?;
            Some(Some((arn.clone(), id)))
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
    key: &KeyArn,
    policy: &Policy,
) -> Result<(), Reason> {
    let caller = author(view, command)?;
    let id = if command.role_id.is_empty() { &command.user_id } else { &command.role_id };
    let own = view.own_policies(id).ok_or(Reason::PolicyLockout)?;
    let resource = key.to_string();
    let query = Query {
        caller: &caller,
        action: "kms:PutKeyPolicy",
        resource: &resource,
        owner: key.account,
        context: &context(check),
        encryption_context: &[],
    };
    let identity: Vec<Attached<'_>> = own.identity.iter().map(NamedPolicy::attached).collect();
    let session = session_policies(view, command, check)?;
    let session: Vec<Attached<'_>> = session.iter().map(NamedPolicy::attached).collect();
    let policies = Policies {
        key: Some(&policy.document),
        identity: &identity,
        boundary: own.boundary.as_ref().map(NamedPolicy::attached),
        session: &session,
        ..Policies::default()
    };
    if can_put_key_policy(&query, &policies) { Ok(()) } else { Err(Reason::PolicyLockout) }
}

/// The policies that narrow the session in which a command was asked for.
fn session_policies(
    view: &View,
    command: &Command,
    check: &proto::LockoutCheck,
) -> Result<Vec<NamedPolicy>, Reason> {
    let inline = (!check.session_policy.is_empty()).then(|| {
        let policy = Policy::new(&check.session_policy, BTreeMap::new());
        Ok(NamedPolicy { name: "session".to_owned(), policy: policy.into() })
    });
    let managed = command.session_policy_ids.iter().map(|id| {
        let id = id.parse().map_err(|_| Reason::Malformed)?;
        view.managed_policy(&id).map(|policy| in_force(policy)).ok_or(Reason::PolicyLockout)
    });
    inline.into_iter().chain(managed).collect()
}

/// The author of a command, as policies see it.
fn author(view: &View, command: &Command) -> Result<Caller, Reason> {
    let text = command.principal.as_str();
    if !command.role_id.is_empty() {
        let id = command.role_id.parse().map_err(|_| Reason::Malformed)?;
        let role = view.role(&id).ok_or(Reason::PolicyLockout)?.arn();
        let session = text.rsplit_once('/').ok_or(Reason::Malformed)?.1;
        let caller = Caller::session(role.account, &role.friendly_name(), session);
        return Ok(caller.with_unique_id(&command.role_id));
    }
    if let Ok(user) = text.parse::<IamArn>() {
        let caller = Caller::user(user.account, &user.friendly_name());
        return Ok(caller.with_unique_id(&command.user_id));
    }
    let root: PrincipalArn = text.parse().map_err(|_| Reason::Malformed)?;
    Ok(Caller::root(root.account()))
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
