//! What an operation is executed with: a request that may be, and all that was found out on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keystead_api::{Error, messages};
use keystead_state::{Grant, Key, KeyUse, SESSION_POLICIES_VERSION, View, proto};
use keystead_types::{
    AccountId, AliasArn, CryptographicOperation, GrantOperation, KeyArn, RequestId, UnixMillis,
};

use crate::authenticate::Caller;
use crate::conditions::{Circumstances, KeyFacts, Sent};
use crate::front::WireRequest;
use crate::pipeline::time_of;
use crate::question;
use crate::region::RegionServer;
use crate::resolve::{Found, Resource};

/// A request that may be executed, with all that was found out on the way.
pub(crate) struct Call<'a> {
    pub(crate) region: &'a RegionServer,
    pub(crate) view: Arc<View>,
    pub(crate) caller: Caller,
    pub(crate) request: &'a WireRequest,
    pub(crate) operation: &'static str,
    pub(crate) resources: Vec<Resource<'a>>,
    /// The log index at which it was evaluated or took effect.
    pub(crate) index: AtomicU64,
}

impl Call<'_> {
    /// The caller's account.
    pub(crate) fn account(&self) -> AccountId {
        self.caller.principal.account()
    }

    /// The action of an operation that has one.
    pub(crate) fn action(&self) -> String {
        format!("kms:{}", self.operation)
    }

    /// The id by which the audit trail knows the request.
    pub(crate) fn request_id(&self) -> RequestId {
        self.request.request_id
    }

    /// What is the same for the same request sent again, and for no other.
    pub(crate) fn idempotency(&self) -> Result<[u8; 32], Error> {
        self.request.idempotency(&self.caller.principal, self.operation)
    }

    /// The key that target number `at` turned out to be.
    pub(crate) fn key(&self, at: usize) -> Result<&Arc<Key>, Error> {
        match self.resources.get(at).map(|resource| &resource.found) {
            Some(Found::Key(key)) => Ok(key),
            _ => Err(messages::internal()),
        }
    }

    /// The grant that alone allows target number `at`, if one does.
    pub(crate) fn by_grant(&self, at: usize) -> Option<&Arc<Grant>> {
        self.view.grant(self.resources.get(at)?.by_grant.as_ref()?)
    }

    /// The caller's grants on target number `at` for an operation.
    pub(crate) fn own_grants(&self, at: usize, operation: GrantOperation) -> Vec<&Grant> {
        let Ok(key) = self.key(at) else { return Vec::new() };
        question::grants_to(&self.view, key, &self.caller.principal, operation.as_str())
    }

    /// The grant that target number `at` turned out to be.
    pub(crate) fn grant(&self, at: usize) -> Result<(&Arc<Grant>, &Arc<Key>), Error> {
        match self.resources.get(at).map(|resource| &resource.found) {
            Some(Found::Grant { grant, key }) => Ok((grant, key)),
            _ => Err(messages::internal()),
        }
    }

    /// What conditions may ask about the next PutKeyPolicy on a key, and what narrows the session
    /// that it would come in, as a command has it.
    pub(crate) fn next_policy(&self, key: &KeyFacts<'_>, owner: AccountId) -> proto::LockoutCheck {
        let circumstances = Circumstances {
            view: &self.view,
            region: self.region.name(),
            principal: Some(&self.caller.principal),
            session: self.caller.session.as_ref(),
            sent: Sent::Request(self.request),
        };
        let context = circumstances.next_policy(key, owner);
        let mut keys: Vec<_> = context
            .iter()
            .map(|(name, values, defaulted)| proto::ConditionKey {
                name: name.to_owned(),
                values: values.to_vec(),
                defaulted,
            })
            .collect();
        keys.sort_by(|a, b| a.name.cmp(&b.name));
        let session = self.caller.session.as_ref();
        // A member of an older version would not look at it, and decide otherwise.
        let session = session.filter(|_| self.view.cluster_version() >= SESSION_POLICIES_VERSION);
        let session_policy = session.map(|session| session.policy.clone()).unwrap_or_default();
        proto::LockoutCheck { context: keys, session_policy }
    }

    /// What time it is for the request.
    pub(crate) fn now(&self) -> UnixMillis {
        time_of(self.request, &self.view)
    }

    /// The last of the keys: the one that a mutation is about.
    pub(crate) fn last_key(&self) -> Option<&Arc<Key>> {
        self.keys().last()
    }

    /// All its keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.resources.iter().filter_map(|resource| match &resource.found {
            Found::Key(key) | Found::Grant { key, .. } => Some(key),
            _ => None,
        })
    }

    /// The alias that target number `at` names: its account and name, as a command has them.
    pub(crate) fn alias(&self, at: usize) -> Result<(u64, String), Error> {
        match self.resources.get(at).map(|resource| &resource.found) {
            Some(Found::Alias(name)) => Ok((self.account().number(), name.to_string())),
            _ => Err(messages::internal()),
        }
    }

    /// The ARN of the alias among the targets.
    pub(crate) fn alias_arn(&self) -> Option<AliasArn> {
        self.resources.iter().find_map(|resource| match &resource.found {
            Found::Alias(name) => Some(AliasArn {
                region: self.region.name().clone(),
                account: self.account(),
                name: name.clone(),
            }),
            _ => None,
        })
    }

    /// A key's ARN.
    pub(crate) fn key_arn(&self, key: &Key) -> KeyArn {
        KeyArn { region: self.region.name().clone(), account: key.account, id: key.id }
    }

    /// The node's time when the request came.
    pub(crate) fn time(&self) -> UnixMillis {
        self.request.time
    }

    /// The last use of a key that the state or this node knows of.
    pub(crate) fn last_use(&self, key: &Key) -> Option<KeyUse> {
        let (told, noted) = (self.view.last_use(&key.id).copied(), self.region.uses.of(&key.id));
        told.into_iter().chain(noted).max_by_key(|known| known.at)
    }

    /// Notes that the keys were used, if this is a use of keys.
    pub(crate) fn note_uses(&self) {
        let Ok(operation) = self.operation.parse::<CryptographicOperation>() else { return };
        let WireRequest { request_id, event_id, time, .. } = *self.request;
        // A node whose clock lags is not that late.
        let at = time.max(self.view.clock());
        for key in self.keys().map(|key| key.id) {
            self.region.uses.note(KeyUse { key, at, operation, request_id, event_id });
        }
    }

    /// Notes the log index at which a mutation took effect.
    pub(crate) fn note_index(&self, index: u64) {
        self.index.fetch_max(index, Ordering::Relaxed);
    }
}
