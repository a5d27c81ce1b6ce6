//! Everybody who may do something to a key: the roots and users of all accounts, and those whom
//! the key's policy or a grant names without their being one of these.

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
            able.extend(decide(&asker).map(|decision| proto::Able {
                principal: principal.to_string(),
                kind: if principal.user_id().is_some() { "user" } else { "root" }.to_owned(),
                decision: Some(decision),
            }));
        }
        for outsider in outsiders(self.view, key) {
            let supposed = outsider.supposed(&supposition.supposed);
            let asker = Asker::outsider(outsider.caller(), self.circumstances(&supposed));
            able.extend(decide(&asker).map(|decision| outsider.able(decision)));
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

/// Somebody who belongs to no account.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Outsider<'a> {
    Service(&'a str),
    IdentityProvider(&'a str),
}

/// Those whom the key's policy or one of its grants names.
fn outsiders<'a>(view: &'a View, key: &'a Key) -> BTreeSet<Outsider<'a>> {
    let grantees = view.grants_on(key.id, None).map(|grant| &grant.grantee.named);
    let named = key.policy.document.principals().chain(grantees);
    named
        .filter_map(|named| match named {
            NamedPrincipal::Service(name) => Some(Outsider::Service(name)),
            NamedPrincipal::Federated(name) => Some(Outsider::IdentityProvider(name)),
            _ => None,
        })
        .collect()
}

impl Outsider<'_> {
    fn caller(&self) -> Caller {
        match self {
            Self::Service(name) => Caller::service(name),
            Self::IdentityProvider(name) => Caller::federated_provider(name),
        }
    }

    /// What is supposed of its requests: what such a one says, unless something else is given.
    fn supposed(&self, given: &Supposed) -> Supposed {
        let facts = match self {
            Self::Service(name) => {
                vec![("aws:PrincipalIsAWSService", "true"), ("aws:PrincipalServiceName", *name)]
            }
            Self::IdentityProvider(name) => {
                vec![("aws:PrincipalIsAWSService", "false"), ("aws:FederatedProvider", *name)]
            }
        };
        let facts = facts.into_iter().map(|(key, value)| (key.to_owned(), vec![value.to_owned()]));
        Supposed { time: given.time, given: facts.chain(given.given.iter().cloned()).collect() }
    }

    fn able(&self, decision: proto::Decision) -> proto::Able {
        let (kind, name) = match self {
            Self::Service(name) => ("service", name),
            Self::IdentityProvider(name) => ("identity provider", name),
        };
        let (kind, principal) = (kind.to_owned(), (*name).to_owned());
        proto::Able { principal, kind, decision: Some(decision) }
    }
}
