//! The file of `keystead apply`: accounts and their entities of IAM as they shall be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use keystead_server::declared::{
    DeclaredAccount, DeclaredGroup, DeclaredInlinePolicy, DeclaredPermissions, DeclaredPolicy,
    DeclaredProvider, DeclaredRole, DeclaredState, DeclaredUser,
};
use serde::Deserialize;

use crate::config::duration;

/// Reads a file, and the documents that it names, whose paths are relative to it.
pub fn read(path: &Path) -> Result<DeclaredState> {
    let failed = || format!("read what {} declares", path.display());
    let text = std::fs::read_to_string(path).with_context(failed)?;
    let file: File = toml::from_str(&text).with_context(failed)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let accounts = file.accounts.into_iter().map(|account| account.declared(folder));
    Ok(DeclaredState { accounts: accounts.collect::<Result<_>>().with_context(failed)? })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "account")]
    accounts: Vec<Account>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    id: String,
    #[serde(default, rename = "policy")]
    policies: Vec<ManagedPolicy>,
    #[serde(default, rename = "group")]
    groups: Vec<Group>,
    #[serde(default, rename = "user")]
    users: Vec<User>,
    #[serde(default, rename = "role")]
    roles: Vec<Role>,
    #[serde(default, rename = "oidc_provider")]
    providers: Vec<Provider>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Provider {
    url: String,
    #[serde(default)]
    client_ids: Vec<String>,
    #[serde(default)]
    thumbprints: Vec<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManagedPolicy {
    name: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    description: String,
    document: Option<String>,
    document_file: Option<PathBuf>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InlinePolicy {
    name: String,
    document: Option<String>,
    document_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    attached_policies: Vec<String>,
    #[serde(default, rename = "policy")]
    policies: Vec<InlinePolicy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    attached_policies: Vec<String>,
    #[serde(default, rename = "policy")]
    policies: Vec<InlinePolicy>,
    #[serde(default)]
    boundary: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    name: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    description: String,
    max_session_duration: Option<String>,
    trust_policy: Option<String>,
    trust_policy_file: Option<PathBuf>,
    #[serde(default)]
    attached_policies: Vec<String>,
    #[serde(default, rename = "policy")]
    policies: Vec<InlinePolicy>,
    #[serde(default)]
    boundary: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

impl Account {
    fn declared(self, folder: &Path) -> Result<DeclaredAccount> {
        let at = || format!("account {}", self.id);
        let policies = self.policies.into_iter().map(|policy| policy.declared(folder));
        let groups = self.groups.into_iter().map(|group| group.declared(folder));
        let users = self.users.into_iter().map(|user| user.declared(folder));
        let roles = self.roles.into_iter().map(|role| role.declared(folder));
        Ok(DeclaredAccount {
            policies: policies.collect::<Result<_>>().with_context(at)?,
            groups: groups.collect::<Result<_>>().with_context(at)?,
            users: users.collect::<Result<_>>().with_context(at)?,
            roles: roles.collect::<Result<_>>().with_context(at)?,
            providers: self.providers.into_iter().map(Provider::declared).collect(),
            id: self.id,
        })
    }
}

impl Provider {
    fn declared(self) -> DeclaredProvider {
        let Self { url, client_ids, thumbprints, tags } = self;
        DeclaredProvider { url, client_ids, thumbprints, tags }
    }
}

impl ManagedPolicy {
    fn declared(self, folder: &Path) -> Result<DeclaredPolicy> {
        let Self { name, path, description, document, document_file, tags } = self;
        let document = either("document", document, document_file.as_deref(), folder);
        let document = document.with_context(|| format!("policy {name}"))?;
        Ok(DeclaredPolicy { name, path, description, document, tags })
    }
}

impl Group {
    fn declared(self, folder: &Path) -> Result<DeclaredGroup> {
        let Self { name, path, attached_policies, policies } = self;
        let permissions = permissions(attached_policies, policies, folder);
        let permissions = Some(permissions.with_context(|| format!("group {name}"))?);
        Ok(DeclaredGroup { name, path, permissions })
    }
}

impl User {
    fn declared(self, folder: &Path) -> Result<DeclaredUser> {
        let Self { name, path, groups, attached_policies, policies, boundary, tags } = self;
        let permissions = permissions(attached_policies, policies, folder);
        let permissions = Some(permissions.with_context(|| format!("user {name}"))?);
        Ok(DeclaredUser { name, path, groups, permissions, boundary, tags })
    }
}

impl Role {
    fn declared(self, folder: &Path) -> Result<DeclaredRole> {
        let at = || format!("role {}", self.name);
        let trust_file = self.trust_policy_file.as_deref();
        let trust_policy = either("trust_policy", self.trust_policy, trust_file, folder);
        let max_session_seconds = match &self.max_session_duration {
            None => 0,
            Some(text) => seconds(text)
                .with_context(|| format!("max_session_duration = {text:?}"))
                .with_context(at)?,
        };
        Ok(DeclaredRole {
            path: self.path,
            description: self.description,
            max_session_seconds,
            trust_policy: trust_policy.with_context(at)?,
            permissions: Some(
                permissions(self.attached_policies, self.policies, folder).with_context(at)?,
            ),
            boundary: self.boundary,
            tags: self.tags,
            name: self.name,
        })
    }
}

fn permissions(
    attached: Vec<String>,
    policies: Vec<InlinePolicy>,
    folder: &Path,
) -> Result<DeclaredPermissions> {
    let inline = policies.into_iter().map(|InlinePolicy { name, document, document_file }| {
        let document = either("document", document, document_file.as_deref(), folder);
        let document = document.with_context(|| format!("inline policy {name}"))?;
        Ok(DeclaredInlinePolicy { name, document })
    });
    Ok(DeclaredPermissions { inline: inline.collect::<Result<_>>()?, attached })
}

/// A document that stands in the file, or in one of its own.
fn either(key: &str, text: Option<String>, file: Option<&Path>, folder: &Path) -> Result<String> {
    match (text, file) {
        (Some(text), None) => Ok(text),
        (None, Some(file)) => {
            let path = folder.join(file);
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        }
        (None, None) => bail!("{key} is missing: say {key} or {key}_file"),
        (Some(_), Some(_)) => bail!("{key} and {key}_file say the same thing; leave one out"),
    }
}

fn seconds(text: &str) -> Result<u32> {
    let duration = duration(text)?;
    if duration.subsec_nanos() != 0 || duration.is_zero() {
        bail!("it is a whole number of seconds above zero");
    }
    u32::try_from(duration.as_secs()).context("that is too much")
}
