//! Changes to the directory: indices, counts of documents, rows.

use std::sync::Arc;

use super::{Group, ManagedPolicy, OidcProvider, Permissions, Role, User};
use crate::model::{Credential, Policy};
use crate::rows;
use crate::transition::{Transition, delete, put};

impl Transition<'_> {
    pub(crate) fn put_user(&mut self, user: User) {
        self.changes.push(put(rows::user(user.id), super::user(&user)));
        let old = self.view.directory.users.get(user.id).cloned();
        self.swap_documents(
            old.as_ref().map_or(Vec::new(), |old| documents(&old.permissions)),
            documents(&user.permissions),
        );
        if let Some(old) = old {
            self.view.directory.index_user(&old, false);
        }
        self.view.directory.index_user(&user, true);
        self.view.directory.users.put(Arc::new(user));
    }

    pub(crate) fn remove_user(&mut self, user: &User) {
        self.changes.push(delete(rows::user(user.id)));
        self.swap_documents(documents(&user.permissions), Vec::new());
        self.view.directory.index_user(user, false);
        self.view.directory.users.remove(user);
    }

    pub(crate) fn put_role(&mut self, role: Role) {
        self.changes.push(put(rows::role(role.id), super::role(&role)));
        let old = self.view.directory.roles.get(role.id).cloned();
        self.swap_documents(
            old.as_ref().map_or(Vec::new(), |old| documents_of_role(old)),
            documents_of_role(&role),
        );
        if let Some(old) = old {
            self.view.directory.index_role(&old, false);
        }
        self.view.directory.index_role(&role, true);
        self.view.directory.roles.put(Arc::new(role));
    }

    pub(crate) fn remove_role(&mut self, role: &Role) {
        self.changes.push(delete(rows::role(role.id)));
        self.swap_documents(documents_of_role(role), Vec::new());
        self.view.directory.index_role(role, false);
        self.view.directory.roles.remove(role);
    }

    pub(crate) fn put_group(&mut self, group: Group) {
        self.changes.push(put(rows::group(group.id), super::group(&group)));
        let old = self.view.directory.groups.get(group.id).cloned();
        self.swap_documents(
            old.as_ref().map_or(Vec::new(), |old| documents(&old.permissions)),
            documents(&group.permissions),
        );
        if let Some(old) = old {
            self.view.directory.index_group(&old, false);
        }
        self.view.directory.index_group(&group, true);
        self.view.directory.groups.put(Arc::new(group));
    }

    pub(crate) fn remove_group(&mut self, group: &Group) {
        self.changes.push(delete(rows::group(group.id)));
        self.swap_documents(documents(&group.permissions), Vec::new());
        self.view.directory.index_group(group, false);
        self.view.directory.groups.remove(group);
    }

    pub(crate) fn put_managed_policy(&mut self, policy: ManagedPolicy) {
        self.changes.push(put(rows::managed_policy(policy.id), super::managed_policy(&policy)));
        let old = self.view.directory.policies.get(policy.id).cloned();
        self.swap_documents(old.map_or(Vec::new(), |old| versions(&old)), versions(&policy));
        self.view.directory.policies.put(Arc::new(policy));
    }

    pub(crate) fn remove_managed_policy(&mut self, policy: &ManagedPolicy) {
        self.changes.push(delete(rows::managed_policy(policy.id)));
        self.swap_documents(versions(policy), Vec::new());
        self.view.directory.policies.remove(policy);
    }

    pub(crate) fn put_oidc_provider(&mut self, provider: OidcProvider) {
        self.changes.push(put(rows::oidc_provider(provider.id), super::oidc_provider(&provider)));
        self.view.directory.oidc_providers.put(Arc::new(provider));
    }

    pub(crate) fn remove_oidc_provider(&mut self, provider: &OidcProvider) {
        self.changes.push(delete(rows::oidc_provider(provider.id)));
        self.view.directory.oidc_providers.remove(provider);
    }

    pub(crate) fn remove_credential(&mut self, credential: &Credential) {
        self.changes.push(delete(rows::credential(&credential.id)));
        self.view.credentials.remove_mut(&credential.id);
        let entry = (credential.account, credential.user, credential.id.clone());
        self.view.directory.access_keys.remove_mut(&entry);
    }

    /// Counts documents out and in; in first, so that what stays is not taken away in between.
    fn swap_documents(&mut self, old: Vec<[u8; 32]>, new: Vec<[u8; 32]>) {
        if old != new {
            new.iter().for_each(|id| self.count_policy(id, true));
            old.iter().for_each(|id| self.count_policy(id, false));
        }
    }

    /// The shared policy of a stored id.
    pub(crate) fn shared_policy(&self, id: &[u8]) -> Option<Arc<Policy>> {
        let id = <[u8; 32]>::try_from(id).ok()?;
        self.view.policies.get(&id).map(|shared| shared.policy.clone())
    }
}

fn documents(permissions: &Permissions) -> Vec<[u8; 32]> {
    permissions.inline.values().map(|policy| policy.id).collect()
}

fn documents_of_role(role: &Role) -> Vec<[u8; 32]> {
    let mut documents = documents(&role.permissions);
    documents.push(role.trust_policy.id);
    documents
}

fn versions(policy: &ManagedPolicy) -> Vec<[u8; 32]> {
    policy.versions.iter().map(|version| version.policy.id).collect()
}
