//! What the server asks a View about keys, aliases and grants.

use std::ops::Bound;
use std::sync::Arc;

use keystead_types::{AccountId, AliasName, GrantId, KeyId, UnixMillis};

use crate::erasures::Erasures;
use crate::model::{Alias, Grant, Key, KeyUse};
use crate::view::View;

impl View {
    /// How many keys there are.
    pub fn key_count(&self) -> usize {
        self.keys.size()
    }

    /// How many keys an account has, in whatever state, but for those that AWS manages.
    pub fn key_count_of(&self, account: AccountId) -> usize {
        self.key_counts.get(&account).copied().unwrap_or_default()
    }

    /// How many grants there are on a key.
    pub fn grant_count(&self, key: KeyId) -> usize {
        self.grant_counts.get(&key).copied().unwrap_or_default()
    }

    /// A key by its id.
    pub fn key(&self, id: &KeyId) -> Option<&Arc<Key>> {
        self.keys.get(id)
    }

    /// The last known use of a key.
    pub fn last_use(&self, key: &KeyId) -> Option<&KeyUse> {
        self.uses.get(key)
    }

    /// Since when nodes tell of the uses of keys, if they do.
    pub fn uses_known_since(&self) -> Option<UnixMillis> {
        self.cluster.as_ref()?.uses_known_since
    }

    /// Which keys lost material, and which nodes have erased it.
    pub fn erasures(&self) -> &Erasures {
        &self.erasures
    }

    /// Whether keys that lose material are written down.
    pub fn losses_known(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.losses_known)
    }

    /// The keys of an account whose ids come after `after`, in order of their ids.
    pub fn keys_of(
        &self,
        account: AccountId,
        after: Option<KeyId>,
    ) -> impl Iterator<Item = &Arc<Key>> {
        let start = match after {
            Some(id) => Bound::Excluded((account, id)),
            None => Bound::Included((account, KeyId::new([0; 16], false))),
        };
        self.keys_by_account
            .range((start, Bound::Unbounded))
            .take_while(move |(owner, _)| *owner == account)
            .filter_map(|(_, id)| self.keys.get(id))
    }

    /// An alias by account and name.
    pub fn alias(&self, account: AccountId, name: &AliasName) -> Option<&Alias> {
        self.aliases.get(&(account, name.clone())).map(|alias| &**alias)
    }

    /// The aliases of an account whose names come after `after`, in order of their names.
    pub fn aliases_of(
        &self,
        account: AccountId,
        after: Option<&AliasName>,
    ) -> impl Iterator<Item = &Alias> {
        let start = match after {
            Some(name) => Bound::Excluded((account, name.clone())),
            None => Bound::Included((account, AliasName::least())),
        };
        self.aliases
            .range((start, Bound::Unbounded))
            .map(|(_, alias)| &**alias)
            .take_while(move |alias| alias.account == account)
    }

    /// The names that point at a key, in order.
    pub fn aliases_to(&self, key: KeyId) -> impl Iterator<Item = &AliasName> {
        self.aliases_by_key
            .range((Bound::Included((key, AliasName::least())), Bound::Unbounded))
            .take_while(move |(target, _)| *target == key)
            .map(|(_, name)| name)
    }

    /// A grant by its id.
    pub fn grant(&self, id: &GrantId) -> Option<&Arc<Grant>> {
        self.grants.get(id)
    }

    /// The grants on a key whose ids come after `after`, in order of their ids.
    pub fn grants_on(
        &self,
        key: KeyId,
        after: Option<GrantId>,
    ) -> impl Iterator<Item = &Arc<Grant>> {
        let start = match after {
            Some(id) => Bound::Excluded((key, id)),
            None => Bound::Included((key, GrantId::new([0; 32]))),
        };
        self.grants_by_key
            .range((start, Bound::Unbounded))
            .take_while(move |(on, _)| *on == key)
            .filter_map(|(_, id)| self.grants.get(id))
    }

    /// The grants on a key to a grantee: a user by unique id, others by ARN or service name.
    pub fn grants_to(&self, key: KeyId, grantee: &str) -> impl Iterator<Item = &Arc<Grant>> {
        let grantee: Arc<str> = grantee.into();
        let start = Bound::Included((key, grantee.clone(), GrantId::new([0; 32])));
        self.grants_by_grantee
            .range((start, Bound::Unbounded))
            .take_while(move |(on, to, _)| *on == key && *to == grantee)
            .filter_map(|(_, _, id)| self.grants.get(id))
    }

    /// The grants that name a principal to retire them, a user by unique id, others by ARN or
    /// service name, and whose ids come after `after`, in order of their ids.
    pub fn grants_retirable_by(
        &self,
        retiring: &str,
        after: Option<GrantId>,
    ) -> impl Iterator<Item = &Arc<Grant>> {
        let retiring: Arc<str> = retiring.into();
        let start = match after {
            Some(id) => Bound::Excluded((retiring.clone(), id)),
            None => Bound::Included((retiring.clone(), GrantId::new([0; 32]))),
        };
        self.grants_by_retiring
            .range((start, Bound::Unbounded))
            .take_while(move |(by, _)| *by == retiring)
            .filter_map(|(_, id)| self.grants.get(id))
    }

    /// Keys whose deletion window has ended by `clock`, the earliest first.
    pub fn keys_due(&self, clock: UnixMillis) -> impl Iterator<Item = KeyId> {
        self.deletions.iter().take_while(move |(due, _)| *due <= clock).map(|(_, id)| *id)
    }

    /// Enabled keys whose automatic rotation is due by `clock`, the earliest first.
    pub fn rotations_due(&self, clock: UnixMillis) -> impl Iterator<Item = &Arc<Key>> {
        self.rotations
            .iter()
            .take_while(move |(due, _)| *due <= clock)
            .filter_map(|(_, id)| self.keys.get(id))
    }

    /// Keys of which some material has expired by `clock`, the earliest first.
    pub fn keys_expired(&self, clock: UnixMillis) -> impl Iterator<Item = KeyId> {
        self.expiries.iter().take_while(move |(due, _)| *due <= clock).map(|(_, id)| *id)
    }

    /// When the next deletion window ends.
    pub fn next_due(&self) -> Option<UnixMillis> {
        self.deletions.first().map(|(due, _)| *due)
    }
}
