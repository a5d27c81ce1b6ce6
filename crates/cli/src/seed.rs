//! What a development node begins with: accounts, keys with fixed ids and material, aliases.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_server::RegionServer;
use keystead_server::boot::{self, NewAccount, NewKey};
use keystead_types::{AccessKeyId, AccountId, AliasName, KeyId};
use serde::Deserialize;

/// The secret of accounts for which none is given.
const DEFAULT_SECRET: &str = "test";

/// A seed file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// `[[account]]`
    #[serde(default, rename = "account")]
    pub accounts: Vec<AccountSeed>,
    /// `[[key]]`
    #[serde(default, rename = "key")]
    keys: Vec<KeySeed>,
}

/// An account and its root's access key.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSeed {
    id: String,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
}

/// A key with a fixed id and material.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeySeed {
    account: String,
    id: String,
    /// 32 bytes in base64.
    material: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    aliases: Vec<String>,
}

/// Reads `ID` or `ID:ACCESS_KEY:SECRET`.
pub fn account(text: &str) -> Result<AccountSeed, String> {
    let mut parts = text.splitn(3, ':').map(str::to_owned);
    let seed = AccountSeed {
        id: parts.next().unwrap_or_default(),
        access_key_id: parts.next(),
        secret_access_key: parts.next(),
    };
    if seed.access_key_id.is_some() != seed.secret_access_key.is_some() {
        return Err("expected ID or ID:ACCESS_KEY:SECRET".into());
    }
    seed.check().map_err(|error| format!("{error:#}"))?;
    Ok(seed)
}

impl AccountSeed {
    fn check(&self) -> Result<(AccountId, AccessKeyId)> {
        // Where no access key is given the account's id is one, as the AWS emulators have it.
        let access_key_id = self.access_key_id.as_ref().unwrap_or(&self.id);
        Ok((self.id.parse()?, access_key_id.parse()?))
    }

    /// The account to create.
    pub fn to_new(&self) -> Result<NewAccount> {
        let (account, access_key_id) = self.check()?;
        let secret = self.secret_access_key.as_deref().unwrap_or(DEFAULT_SECRET);
        Ok(NewAccount { account, access_key_id, secret: secret.to_owned().into(), service: None })
    }
}

impl Seed {
    /// Reads a seed file.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = || format!("read seed file {}", path.display());
        let text = std::fs::read_to_string(path).with_context(failed)?;
        toml::from_str(&text).with_context(failed)
    }

    /// Creates the keys that are not there yet.
    pub async fn plant(&self, region: &RegionServer) -> Result<()> {
        for key in &self.keys {
            let new = key.to_new().with_context(|| format!("seed key {}", key.id))?;
            boot::ensure_key(region, new).await?;
        }
        Ok(())
    }
}

impl KeySeed {
    fn to_new(&self) -> Result<NewKey> {
        let material = STANDARD.decode(&self.material).context("material is not base64")?;
        let aliases = self.aliases.iter().map(|name| name.parse::<AliasName>());
        Ok(NewKey {
            account: self.account.parse()?,
            id: self.id.parse::<KeyId>()?,
            material: <[u8; 32]>::try_from(material)
                .map_err(|_| anyhow!("material is not 32 bytes"))?
                .into(),
            description: self.description.clone(),
            aliases: aliases.collect::<Result<_, _>>()?,
        })
    }
}
