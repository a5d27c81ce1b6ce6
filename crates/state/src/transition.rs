//! A View in the making: every change goes through here, keeps the indices right and leaves a row.

use std::sync::Arc;

use keystead_types::{AccountId, AliasName, KeyId, UnixMillis};

use crate::model::{Account, Alias, Authority, Credential, DomainKey, Key, Policy};
use crate::records;
use crate::rows::{self, RowChange};
use crate::view::{Cluster, Remembered, SharedPolicy, View};

/// The next View and the rows that make it, while a command is applied.
pub(crate) struct Transition<'v> {
    pub(crate) view: &'v mut View,
    pub(crate) changes: Vec<RowChange>,
}

impl<'v> Transition<'v> {
    /// Starts from a View; what comes of it is at log index `index`.
    pub(crate) fn new(view: &'v mut View, index: u64) -> Self {
        view.applied = index;
        Self { view, changes: Vec::new() }
    }

    /// The log index of the command being applied.
    pub(crate) fn index(&self) -> u64 {
        self.view.applied
    }

    pub(crate) fn finish(self) -> Vec<RowChange> {
        self.changes
    }

    pub(crate) fn put_cluster(&mut self, cluster: Cluster) {
        self.changes.push(put(rows::cluster(), records::cluster(&cluster, self.view.clock)));
        self.view.cluster = Some(Arc::new(cluster));
    }

    /// Moves the replicated clock forward, never back.
    pub(crate) fn advance_clock(&mut self, time: UnixMillis) {
        if time <= self.view.clock {
            return;
        }
        self.view.clock = time;
        if let Some(cluster) = self.view.cluster.clone() {
            self.changes.push(put(rows::cluster(), records::cluster(&cluster, time)));
        }
    }

    pub(crate) fn put_domain_key(&mut self, key: DomainKey) {
        self.changes.push(put(rows::domain_key(key.epoch), records::domain_key(&key)));
        self.view.domain_keys.insert_mut(key.epoch, Arc::new(key));
    }

    pub(crate) fn put_authority(&mut self, authority: Authority) {
        self.changes.push(put(rows::authority(), records::authority(&authority)));
        self.view.authority = Some(Arc::new(authority));
    }

    pub(crate) fn put_account(&mut self, account: Account) {
        self.changes.push(put(rows::account(account.id), records::account(&account)));
        self.view.accounts.insert_mut(account.id, account);
    }

    pub(crate) fn put_credential(&mut self, credential: Credential) {
        let row = rows::credential(&credential.id);
        self.changes.push(put(row, records::credential(&credential)));
        let owner = (credential.account, credential.user, credential.id.clone());
        self.view.directory.access_keys.insert_mut(owner);
        self.view.credentials.insert_mut(credential.id.clone(), Arc::new(credential));
    }

    /// The shared policy of this text; a text that nothing has yet is stored.
    pub(crate) fn policy(&mut self, text: &str) -> Arc<Policy> {
        let id = keystead_crypto::digest::sha256(text.as_bytes());
        if let Some(shared) = self.view.policies.get(&id) {
            return shared.policy.clone();
        }
        let policy = Arc::new(Policy { id, text: text.to_owned() });
        self.changes.push(put(rows::policy(&id), records::policy(&policy)));
        self.load_policy(policy.clone());
        policy
    }

    pub(crate) fn load_policy(&mut self, policy: Arc<Policy>) {
        self.view.policies.insert_mut(policy.id, SharedPolicy { policy, uses: 0 });
    }

    pub(crate) fn put_key(&mut self, key: Key) {
        self.changes.push(put(rows::key(&key.id), records::key(&key)));
        match self.view.keys.get(&key.id).cloned() {
            Some(old) => self.reindex_key(&old, &key),
            None => {
                self.view.keys_by_account.insert_mut((key.account, key.id));
                self.index_key(&key);
            }
        }
        self.view.keys.insert_mut(key.id, Arc::new(key));
    }

    /// Most changes leave alone what is indexed.
    fn reindex_key(&mut self, old: &Key, new: &Key) {
        if (old.policy.id, old.deletion) != (new.policy.id, new.deletion) {
            // In this order, so that a document that both carry is not taken away in between.
            self.count_policy(&new.policy.id, true);
            self.unindex_key(old);
            self.index_deletion(new);
        }
    }

    fn index_key(&mut self, key: &Key) {
        self.count_policy(&key.policy.id, true);
        self.index_deletion(key);
    }

    fn index_deletion(&mut self, key: &Key) {
        if let Some(deletion) = key.deletion {
            self.view.deletions.insert_mut((deletion, key.id));
        }
    }

    /// Removes a key, its aliases and, with the record, its wrapped material.
    pub(crate) fn remove_key(&mut self, key: &Key) {
        let names: Vec<AliasName> = self.view.aliases_to(key.id).cloned().collect();
        for name in names {
            self.remove_alias(key.account, &name);
        }
        self.unindex_key(key);
        self.view.keys_by_account.remove_mut(&(key.account, key.id));
        self.view.keys.remove_mut(&key.id);
        self.changes.push(delete(rows::key(&key.id)));
    }

    fn unindex_key(&mut self, key: &Key) {
        self.count_policy(&key.policy.id, false);
        if let Some(deletion) = key.deletion {
            self.view.deletions.remove_mut(&(deletion, key.id));
        }
    }

    /// Counts a use of a policy in or out; the last to leave takes the document along.
    pub(crate) fn count_policy(&mut self, id: &[u8; 32], enters: bool) {
        let Some(shared) = self.view.policies.get(id).cloned() else { return };
        let uses = if enters { shared.uses + 1 } else { shared.uses.saturating_sub(1) };
        if uses == 0 {
            self.view.policies.remove_mut(id);
            self.changes.push(delete(rows::policy(id)));
        } else {
            self.view.policies.insert_mut(*id, SharedPolicy { uses, ..shared });
        }
    }

    pub(crate) fn put_alias(&mut self, alias: Alias) {
        let row = rows::alias(alias.account, &alias.name);
        self.changes.push(put(row, records::alias(&alias)));
        self.unindex_alias(alias.account, &alias.name);
        self.view.aliases_by_key.insert_mut((alias.target, alias.name.clone()));
        self.view.aliases.insert_mut((alias.account, alias.name.clone()), Arc::new(alias));
    }

    pub(crate) fn remove_alias(&mut self, account: AccountId, name: &AliasName) {
        self.unindex_alias(account, name);
        self.view.aliases.remove_mut(&(account, name.clone()));
        self.changes.push(delete(rows::alias(account, name)));
    }

    fn unindex_alias(&mut self, account: AccountId, name: &AliasName) {
        if let Some(target) = self.view.alias(account, name).map(|alias| alias.target) {
            self.view.aliases_by_key.remove_mut(&(target, name.clone()));
        }
    }

    pub(crate) fn put_request(&mut self, request: Remembered) {
        self.changes.push(put(rows::request(&request.id), records::request(&request)));
        self.view.requests_by_age.insert_mut((request.at, request.index), request.id);
        self.view.requests.insert_mut(request.id, Arc::new(request));
    }

    pub(crate) fn remove_request(&mut self, request: &Remembered) {
        self.view.requests_by_age.remove_mut(&(request.at, request.index));
        self.view.requests.remove_mut(&request.id);
        self.changes.push(delete(rows::request(&request.id)));
    }

    /// A key that a command names.
    pub(crate) fn key(&self, id: &KeyId) -> Option<Arc<Key>> {
        self.view.keys.get(id).cloned()
    }
}

pub(crate) fn put(key: Vec<u8>, value: Vec<u8>) -> RowChange {
    RowChange { key, value: Some(value) }
}

pub(crate) fn delete(key: Vec<u8>) -> RowChange {
    RowChange { key, value: None }
}
