//! Everybody who may do something to a key: the roots and users of all accounts, and the services
//! that the key's policy or a grant names.

use std::collections::BTreeSet;

use keystead_policy::{Caller, NamedPrincipal};
use keystead_state::{Key, View};
use keystead_types::{AccountId, KeyId, Principal};

use super::supposition::Supposition;
use super::{Explainer, NoAnswer, notes, told};
use crate::admin::proto;
use crate::conditions::Supposed;
use crate::question::Asker;

impl Explainer<'_> {
    /// Everybody who may do something to a key, and what lets them.
    ///
    /// # Errors
    /// There is no such key, action or context.
    pub(crate) fn who_can(
        &self,
        asked: &proto::Supposition,
    ) -> Result<proto::WhoCanResponse, NoAnswer> {
        let supposition = Supposition::read(asked)?;
        let account = supposition.account.or_else(|| self.owner(supposition.key));
        let account = account.ok_or_else(|| {
            NoAnswer::Invalid("Name the account too, or the key by its ARN.".to_owned())
        })?;
        let resource = supposition.resource(self, account)?;
        let key = resource.key().ok_or_else(|| NoAnswer::Absent("There is no such key.".into()))?;
        let decide = |asker: &Asker<'_>| {
            let decision = asker.ask(&resource, |question| told::decision(&question.decide()));
            decision.filter(|decision| decision.allowed)
        };
        let mut able = Vec::new();
        for principal in principals(self.view).filter(|principal| !self.is_suspended(principal)) {
            let asker = Asker::new(&principal, self.circumstances(&supposition.supposed));
            let kind = if principal.user_id().is_some() { "user" } else { "root" };
            let name = principal.to_string();
            able.extend(decide(&asker).map(|decision| able_one(&name, kind, decision)));
        }
        for service in services(self.view, key) {
            let supposed = of_service(service, &supposition.supposed);
            let asker = Asker::outsider(Caller::service(service), self.circumstances(&supposed));
            able.extend(decide(&asker).map(|decision| able_one(service, "service", decision)));
        }
        Ok(proto::WhoCanResponse {
            action: resource.action.to_owned(),
            key: resource.name(self.region.name()),
            able,
            notes: notes(supposition.action, key),
            index: self.view.applied(),
        })
    }

    /// Whose key or alias a name that does not say it can only be.
    fn owner(&self, name: &str) -> Option<AccountId> {
        let key = name.parse::<KeyId>().ok().and_then(|id| self.view.key(&id));
        let mut accounts = self.view.accounts();
        let only = accounts.next().filter(|_| accounts.next().is_none());
        // An ARN says it itself.
        let first = || self.view.accounts().next().filter(|_| name.starts_with("arn:"));
        key.map(|key| key.account).or_else(|| only.or_else(first).map(|account| account.id))
    }
}

fn able_one(principal: &str, kind: &str, decision: proto::Decision) -> proto::Able {
    proto::Able { principal: principal.to_owned(), kind: kind.to_owned(), decision: Some(decision) }
}

/// The roots and users of all accounts.
fn principals(view: &View) -> impl Iterator<Item = Principal> {
    view.accounts().flat_map(|account| {
        let users = view.users_of(account.id, None).map(|user| Principal::User {
            account: user.account,
            name: user.arn().friendly_name().into(),
            id: user.id.to_string().into(),
        });
        std::iter::once(Principal::Root(account.id)).chain(users)
    })
}

/// The services that the key's policy or one of its grants names. Nobody else who belongs to no
/// account may do anything: an identity provider has no policies of its own, which it would need.
fn services<'a>(view: &'a View, key: &'a Key) -> BTreeSet<&'a str> {
    let grantees = view.grants_on(key.id, None).map(|grant| &grant.grantee.named);
    let named = key.policy.document.principals().chain(grantees);
    named
        .filter_map(|named| match named {
            NamedPrincipal::Service(name) => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

/// What is supposed of a service's request: what services say, unless something else is given.
fn of_service(name: &str, given: &Supposed) -> Supposed {
    let facts = [("aws:PrincipalIsAWSService", "true"), ("aws:PrincipalServiceName", name)];
    let facts = facts.map(|(key, value)| (key.to_owned(), vec![value.to_owned()]));
    let given_too = given.given.iter().cloned();
    Supposed { time: given.time, given: facts.into_iter().chain(given_too).collect() }
}
