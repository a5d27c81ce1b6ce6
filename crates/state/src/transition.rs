//! A View in the making: every change goes through here, keeps the indices right and leaves a row.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

use keystead_types::{AccountId, AliasName, KeyId, KeyManager, UnixMillis};
use prost::Message;
use rpds::HashTrieMapSync;

use crate::erasures::{Erased, LostMaterial, loses_material};
use crate::forwarded::Forwarding;
use crate::model::{Account, Alias, Authority, Credential, DomainKey, Grant, Key, KeyUse, Policy};
use crate::records;
use crate::requests::{Remembered, RequestChunk, chunk_number};
use crate::rows::{self, RowChange};
use crate::view::{Cluster, SharedPolicy, View};

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

    /// From now on, unless it is so already, uses of keys are known.
    pub(crate) fn know_uses(&mut self) {
        let Some(cluster) = self.view.cluster.as_deref() else { return };
        if cluster.uses_known_since.is_none() {
            let uses_known_since = Some(self.view.clock);
            self.put_cluster(Cluster { uses_known_since, ..cluster.clone() });
        }
    }

    /// From now on, unless it is so already, it is written down which keys lose material.
    pub(crate) fn know_losses(&mut self) {
        let Some(cluster) = self.view.cluster.as_deref() else { return };
        if !cluster.losses_known {
            self.put_cluster(Cluster { losses_known: true, ..cluster.clone() });
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

    /// The shared policy of this text; one that nothing carries yet is stored.
    pub(crate) fn policy(&mut self, text: &str) -> Arc<Policy> {
        let id = keystead_crypto::digest::sha256(text.as_bytes());
        match self.view.policies.get(&id) {
            Some(shared) => shared.policy.clone(),
            None => self.share_policy(Policy::new(text, BTreeMap::new())),
        }
    }

    /// The shared one of equal policies; one that nothing carries yet is stored.
    pub(crate) fn share_policy(&mut self, policy: Policy) -> Arc<Policy> {
        if let Some(shared) = self.view.policies.get(&policy.id) {
            return shared.policy.clone();
        }
        let policy = Arc::new(policy);
        self.changes.push(put(rows::policy(&policy.id), records::policy(&policy)));
        self.load_policy(policy.clone());
        policy
    }

    pub(crate) fn load_policy(&mut self, policy: Arc<Policy>) {
        self.view.policies.insert_mut(policy.id, SharedPolicy { policy, uses: 0 });
    }

    pub(crate) fn put_key(&mut self, mut key: Key) {
        let old = self.view.keys.get(&key.id).cloned();
        if let Some(old) = &old {
            self.note_shared_change(old, &mut key);
        }
        self.changes.push(put(rows::key(&key.id), records::key(&key)));
        match old {
            Some(old) => {
                self.reindex_key(&old, &key);
                if loses_material(&old, Some(&key)) {
                    self.lose_material(&key);
                }
            }
            None => {
                self.view.keys_by_account.insert_mut((key.account, key.id));
                if key.id.multi_region() {
                    self.view.regions.keys.insert_mut(key.id);
                }
                self.count_key(&key, true);
                self.index_key(&key);
            }
        }
        self.view.keys.insert_mut(key.id, Arc::new(key));
    }

    /// Most changes leave alone what is indexed.
    fn reindex_key(&mut self, old: &Key, new: &Key) {
        let indexed =
            |key: &Key| (key.policy.id, key.deletion, key.rotation_due(), key.next_expiry());
        if indexed(old) != indexed(new) {
            // In this order, so that a document that both carry is not taken away in between.
            self.count_policy(&new.policy.id, true);
            self.unindex_key(old);
            self.index_dates(new);
        }
    }

    fn index_key(&mut self, key: &Key) {
        self.count_policy(&key.policy.id, true);
        self.index_dates(key);
    }

    fn index_dates(&mut self, key: &Key) {
        if let Some(deletion) = key.deletion {
            self.view.deletions.insert_mut((deletion, key.id));
        }
        if let Some(rotation) = key.rotation_due() {
            self.view.rotations.insert_mut((rotation, key.id));
        }
        if let Some(expiry) = key.next_expiry() {
            self.view.expiries.insert_mut((expiry, key.id));
        }
    }

    /// Removes a key, its aliases and grants and, with the record, its wrapped material.
    pub(crate) fn remove_key(&mut self, key: &Key) {
        let grants: Vec<Arc<Grant>> = self.view.grants_on(key.id, None).cloned().collect();
        for grant in grants {
            self.remove_grant(&grant);
        }
        let names: Vec<AliasName> = self.view.aliases_to(key.id).cloned().collect();
        for name in names {
            self.remove_alias(key.account, &name);
        }
        if self.view.uses.remove_mut(&key.id) {
            self.changes.push(delete(rows::key_use(&key.id)));
        }
        self.unindex_key(key);
        if self.view.keys_by_account.remove_mut(&(key.account, key.id)) {
            self.count_key(key, false);
        }
        self.view.keys.remove_mut(&key.id);
        self.view.regions.keys.remove_mut(&key.id);
        self.changes.push(delete(rows::key(&key.id)));
        if loses_material(key, None) {
            self.lose_material(key);
        }
    }

    /// Counts a key in or out. Those that AWS manages are no part of anybody's quota.
    fn count_key(&mut self, key: &Key, enters: bool) {
        if key.manager == KeyManager::Customer {
            count(&mut self.view.key_counts, key.account, enters);
        }
    }

    /// From now on each node has material of this key to erase.
    fn lose_material(&mut self, key: &Key) {
        if !self.view.losses_known() {
            return;
        }
        let (index, at) = (self.index(), self.view.clock);
        self.put_lost(LostMaterial { key: key.id, account: key.account, index, at });
    }

    pub(crate) fn put_lost(&mut self, lost: LostMaterial) {
        let record = lost.record().encode_to_vec();
        self.changes.push(put(rows::lost_material(&lost.key), record));
        self.view.erasures.put(lost);
    }

    /// Tells no more that a key lost material.
    pub(crate) fn forget_lost(&mut self, key: &KeyId) {
        self.view.erasures.forget(key);
        self.changes.push(delete(rows::lost_material(key)));
    }

    pub(crate) fn put_erased(&mut self, erased: Erased) {
        let record = erased.record().encode_to_vec();
        self.changes.push(put(rows::erased(erased.node, erased.through), record));
        self.view.erasures.put_erased(erased);
    }

    pub(crate) fn forget_erased(&mut self, erased: Erased) {
        self.view.erasures.forget_erased(erased);
        self.changes.push(delete(rows::erased(erased.node, erased.through)));
    }

    pub(crate) fn put_forwarded(&mut self, forwarding: Forwarding) {
        let row = rows::forwarded(forwarding.signed, &forwarding.digest);
        self.changes.push(put(row, forwarding.record().encode_to_vec()));
        self.view.forwarded.put(forwarding);
    }

    pub(crate) fn forget_forwarded(&mut self, forwarding: Forwarding) {
        self.changes.push(delete(rows::forwarded(forwarding.signed, &forwarding.digest)));
        self.view.forwarded.forget(forwarding);
    }

    pub(crate) fn put_use(&mut self, key_use: KeyUse) {
        self.changes.push(put(rows::key_use(&key_use.key), key_use.record().encode_to_vec()));
        self.view.uses.insert_mut(key_use.key, key_use);
    }

    fn unindex_key(&mut self, key: &Key) {
        self.count_policy(&key.policy.id, false);
        if let Some(deletion) = key.deletion {
            self.view.deletions.remove_mut(&(deletion, key.id));
        }
        if let Some(rotation) = key.rotation_due() {
            self.view.rotations.remove_mut(&(rotation, key.id));
        }
        if let Some(expiry) = key.next_expiry() {
            self.view.expiries.remove_mut(&(expiry, key.id));
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

    pub(crate) fn put_grant(&mut self, grant: Grant) {
        self.changes.push(put(rows::grant(&grant.key, &grant.id), records::grant(&grant)));
        let (key, id) = (grant.key, grant.id);
        if !self.view.grants_by_key.contains(&(key, id)) {
            count(&mut self.view.grant_counts, key, true);
        }
        self.view.grants_by_key.insert_mut((key, id));
        self.view.grants_by_grantee.insert_mut((key, grant.grantee.key(), id));
        if let Some(retiring) = &grant.retiring {
            self.view.grants_by_retiring.insert_mut((retiring.key(), id));
        }
        self.view.grants.insert_mut(id, Arc::new(grant));
    }

    pub(crate) fn remove_grant(&mut self, grant: &Grant) {
        let (key, id) = (grant.key, grant.id);
        if self.view.grants_by_key.remove_mut(&(key, id)) {
            count(&mut self.view.grant_counts, key, false);
        }
        self.view.grants_by_grantee.remove_mut(&(key, grant.grantee.key(), id));
        if let Some(retiring) = &grant.retiring {
            self.view.grants_by_retiring.remove_mut(&(retiring.key(), id));
        }
        self.view.grants.remove_mut(&id);
        self.changes.push(delete(rows::grant(&key, &id)));
    }

    /// Adds requests of one chunk, later than all that are in it.
    pub(crate) fn put_requests(&mut self, requests: &[Remembered]) {
        let Some(first) = requests.first() else { return };
        let number = chunk_number(first.index);
        if !self.view.request_chunks.contains_key(&number) {
            self.view.request_chunks.insert_mut(number, Arc::default());
        }
        let Some(chunk) = self.view.request_chunks.get_mut(&number) else { return };
        let chunk = Arc::make_mut(chunk);
        for request in requests {
            chunk.push(request);
            self.view.requests.insert_mut(request.id, request.index);
        }
        self.changes.push(put(rows::request_chunk(number), chunk.record().to_vec()));
    }

    pub(crate) fn load_requests(&mut self, number: u64, chunk: RequestChunk) {
        for request in chunk.requests() {
            self.view.requests.insert_mut(request.id, request.index);
        }
        self.view.request_chunks.insert_mut(number, Arc::new(chunk));
    }

    /// Removes a chunk and all of its requests.
    pub(crate) fn remove_requests(&mut self, number: u64) {
        let Some(chunk) = self.view.request_chunks.get(&number).cloned() else { return };
        for request in chunk.requests() {
            // One that was forgotten may have come again, and stands in a later chunk, too.
            if self.view.requests.get(&request.id) == Some(&request.index) {
                self.view.requests.remove_mut(&request.id);
            }
        }
        self.view.request_chunks.remove_mut(&number);
        self.changes.push(delete(rows::request_chunk(number)));
    }

    /// Removes the row of a single request, as earlier versions wrote it.
    pub(crate) fn remove_single_request(&mut self, id: &[u8; 32]) {
        self.changes.push(delete(rows::single_request(id)));
    }

    /// A key that a command names.
    pub(crate) fn key(&self, id: &KeyId) -> Option<Arc<Key>> {
        self.view.keys.get(id).cloned()
    }
}

/// Counts one in or out. What has none is not there.
fn count<K: Hash + Eq + Copy>(counts: &mut HashTrieMapSync<K, usize>, of: K, enters: bool) {
    let before = counts.get(&of).copied().unwrap_or_default();
    match if enters { before + 1 } else { before.saturating_sub(1) } {
        0 => {
            counts.remove_mut(&of);
        }
        now => counts.insert_mut(of, now),
    }
}

pub(crate) fn put(key: Vec<u8>, value: Vec<u8>) -> RowChange {
    RowChange { key, value: Some(value) }
}

pub(crate) fn delete(key: Vec<u8>) -> RowChange {
    RowChange { key, value: None }
}
