//! From what a request names to what it means: keys, aliases, ciphertexts.
//!
//! Resolution tells nobody anything: what is absent is carried on as such, and only the
//! authorisation decides whether the caller may learn of it.

use std::sync::Arc;

use keystead_api::{Error, ErrorCode, messages};
use keystead_state::{Grant, Key, Policy, Role, View};
use keystead_types::{
    AccountId, AliasArn, AliasName, Arn, GrantId, KeyArn, KeyId, KmsArn, PARTITION, Region,
    UnixMillis,
};

use crate::conditions::Facts;
use crate::grant_token;
use crate::managed_keys::Unmade;
use crate::region::RegionServer;
use crate::target::Name;
pub(crate) use crate::target::Target;

/// A target with what it turned out to be.
#[derive(Debug)]
pub(crate) struct Resource<'a> {
    pub(crate) action: &'static str,
    pub(crate) facts: Facts<'a>,
    /// The grant that allows it, where no policy does.
    pub(crate) by_grant: Option<GrantId>,
    /// The resource as the caller wrote it, as an ARN; what a denial names.
    pub(crate) asked: Asked,
    /// The account whose resource it is, where one is known.
    pub(crate) owner: Option<AccountId>,
    pub(crate) found: Found,
}

impl Resource<'_> {
    /// The key that it turned out to be, or that it is once it is made.
    pub(crate) fn key(&self) -> Option<&Arc<Key>> {
        match &self.found {
            Found::Key(key) => Some(key),
            Found::Unmade(unmade) => Some(&unmade.key),
            _ => None,
        }
    }

    /// The policy of its own that it has: of a key, or of a role who may take it on.
    pub(crate) fn policy(&self) -> Option<&Arc<Policy>> {
        match &self.found {
            Found::Key(key) => Some(&key.policy),
            Found::Unmade(unmade) => Some(&unmade.key.policy),
            Found::Role(role) => Some(&role.trust_policy),
            _ => None,
        }
    }

    /// As policies know it: the ARN of what it is, or of what it would be; `*` for nothing in
    /// particular.
    pub(crate) fn name(&self, region: &Region) -> String {
        match &self.found {
            Found::Key(key) | Found::Grant { key, .. } => key_arn(region, key).to_string(),
            Found::Unmade(unmade) => key_arn(region, &unmade.key).to_string(),
            Found::Named(named) => named.arn.clone(),
            Found::Role(role) => role.arn().to_string(),
            _ => self.shown().unwrap_or_default(),
        }
    }

    /// The same for something that does not exist.
    pub(crate) fn unseen(&self) -> Self {
        Self {
            action: self.action,
            facts: self.facts.clone(),
            by_grant: None,
            asked: self.asked.clone(),
            owner: self.owner,
            found: Found::Absent(messages::internal()),
        }
    }

    /// As the caller wrote it; nothing for the key behind a ciphertext.
    pub(crate) fn shown(&self) -> Option<String> {
        match &self.asked {
            Asked::Anything => Some("*".to_owned()),
            Asked::Arn(arn) => Some(arn.to_string()),
            Asked::Named(name) | Asked::Role(name) => Some(name.clone()),
            Asked::Ciphertext => None,
        }
    }
}

/// How a denial speaks of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// As `*`: no resource in particular.
    Anything,
    /// By ARN.
    Arn(KmsArn),
    /// By the ARN of something that is IAM's.
    Named(String),
    /// By the ARN of a role that is to be taken on.
    Role(String),
    /// As "the resource associated with this ciphertext".
    Ciphertext,
}

/// What policies know by its ARN alone: a principal, or another entity of IAM.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) arn: String,
    /// What conditions may ask about it, by their keys.
    pub(crate) facts: Vec<(String, String)>,
}

/// What a target turned out to be.
#[derive(Debug)]
pub(crate) enum Found {
    Account,
    Key(Arc<Key>),
    /// The AWS-managed key of a service, which the caller's account does not have yet.
    Unmade(Box<Unmade>),
    Alias(AliasName),
    Grant {
        grant: Arc<Grant>,
        key: Arc<Key>,
    },
    /// Something of IAM's, whether it exists or not.
    Named(Named),
    /// A role that is to be taken on.
    Role(Arc<Role>),
    /// Nothing; the error is for those who may know.
    Absent(Error),
}

/// Who asks, and where.
#[derive(Clone, Copy)]
pub(crate) struct Resolver<'a> {
    pub(crate) view: &'a View,
    pub(crate) region: &'a RegionServer,
    pub(crate) account: AccountId,
    /// Whether a service asks for somebody.
    pub(crate) via_service: bool,
    /// Material that has expired by then is gone.
    pub(crate) now: UnixMillis,
}

impl Resolver<'_> {
    /// Resolves one target.
    ///
    /// # Errors
    /// A name that could not be that of anything.
    pub(crate) fn resolve<'t>(&self, target: Target<'t>) -> Result<Resource<'t>, Error> {
        let (asked, owner, found) = match target.name {
            Name::Account => (Asked::Anything, Some(self.account), Found::Account),
            // A service makes its key in an account when it first uses it.
            Name::Key { reference, aliases: true } if self.via_service => {
                self.key_or_unmade(reference)?
            }
            Name::Key { reference, aliases } => self.key(reference, aliases)?,
            Name::KeyOrUnmade(reference) => self.key_or_unmade(reference)?,
            Name::Ciphertext(id) => {
                let key = self.known_key(&id);
                let owner = key.as_ref().map(|key| key.account);
                // Never shown: without an owner nothing allows it, and the denial says so.
                let absent = || Found::Absent(Error::bare(ErrorCode::AccessDeniedException));
                (Asked::Ciphertext, owner, key.map_or_else(absent, Found::Key))
            }
            Name::Alias { name, must_exist: true } => self.alias(alias_name(name)?, true)?,
            Name::Alias { name, must_exist: false } => {
                let name = alias_name(name).map_err(|error| match error.code() {
                    ErrorCode::NotFoundException => messages::invalid_alias_name(name),
                    _ => error,
                })?;
                self.alias(name, false)?
            }
            Name::Grant { key, id } => self.grant(key, id)?,
            Name::GrantToken(token) => self.granted(token)?,
            Name::Retiring(name) => self.retiring(name)?,
            Name::AliasTarget(name) => {
                let name = alias_name(name)?;
                let alias = self.view.alias(self.account, &name);
                let key = alias.and_then(|alias| self.known_key(&alias.target));
                let arn = self.alias_arn(self.account, name);
                let absent = || Found::Absent(messages::alias_not_found(&arn));
                let found = key.map_or_else(absent, Found::Key);
                (Asked::Arn(arn.into()), Some(self.account), found)
            }
        };
        let Target { action, facts, .. } = target;
        Ok(Resource { action, facts, by_grant: None, asked, owner, found })
    }

    fn key(
        &self,
        reference: &str,
        aliases: bool,
    ) -> Result<(Asked, Option<AccountId>, Found), Error> {
        let invalid = || messages::invalid_key_id(reference);
        if reference.starts_with("arn:") {
            return self.key_by_arn(reference, aliases);
        }
        if aliases && reference.starts_with(AliasName::PREFIX) {
            let name: AliasName = reference.parse().map_err(|_| invalid())?;
            return Ok(self.key_by_alias(self.account, name));
        }
        let id: KeyId = reference.parse().map_err(|_| invalid())?;
        Ok(self.key_by_id(self.account, id))
    }

    /// Accounts have no say in which keys others have.
    fn key_or_unmade(&self, reference: &str) -> Result<(Asked, Option<AccountId>, Found), Error> {
        let (asked, owner, found) = self.key(reference, true)?;
        if let (Found::Absent(_), Asked::Arn(KmsArn::Alias(alias))) = (&found, &asked)
            && alias.account == self.account
            && let Some(unmade) = Unmade::named(self.region, alias)?
        {
            return Ok((asked, owner, Found::Unmade(Box::new(unmade))));
        }
        Ok((asked, owner, found))
    }

    /// Whether there is such a grant is for those to know who may retire it, or manage the key.
    fn grant(&self, key: &str, id: &str) -> Result<(Asked, Option<AccountId>, Found), Error> {
        let (asked, owner, found) = self.key(key, false)?;
        let Found::Key(key) = found else { return Ok((asked, owner, found)) };
        let grant = id.parse().ok().and_then(|id| self.view.grant(&id)).cloned();
        let grant = grant.filter(|grant| grant.key == key.id);
        let absent = || Found::Absent(messages::grant_not_found(id));
        let found = grant.map_or_else(absent, |grant| Found::Grant { grant, key });
        Ok((asked, owner, found))
    }

    /// Whoever has the token may learn that the grant is gone.
    fn granted(&self, token: &str) -> Result<(Asked, Option<AccountId>, Found), Error> {
        let named = grant_token::read(self.region, token)?;
        let gone = || messages::grant_not_found(named.grant);
        let grant = self.view.grant(&named.grant).ok_or_else(gone)?.clone();
        let key = self.known_key(&named.key).ok_or_else(gone)?;
        let arn = key_arn(self.region.name(), &key);
        Ok((Asked::Arn(arn.into()), Some(key.account), Found::Grant { grant, key }))
    }

    /// Of the caller's own account, or a service.
    fn retiring(&self, name: &str) -> Result<(Asked, Option<AccountId>, Found), Error> {
        let found = |arn: &str| Found::Named(Named { arn: arn.to_owned(), facts: Vec::new() });
        if !name.contains(':') {
            return Ok((Asked::Anything, Some(self.account), found("*")));
        }
        let arn = Arn::parse(name).ok_or_else(|| messages::invalid_arn(name))?;
        let account = arn.account.parse().map_err(|_| messages::invalid_arn(name))?;
        Ok((Asked::Named(name.to_owned()), Some(account), found(name)))
    }

    fn key_by_arn(
        &self,
        text: &str,
        aliases: bool,
    ) -> Result<(Asked, Option<AccountId>, Found), Error> {
        let malformed = || messages::invalid_arn(text);
        let arn = Arn::parse(text).ok_or_else(malformed)?;
        let account: AccountId = arn.account.parse().map_err(|_| malformed())?;
        if arn.partition != PARTITION || arn.service != "kms" {
            return Err(malformed());
        }
        if arn.region != self.region.name().as_str() {
            let region: Region = arn.region.parse().map_err(|_| malformed())?;
            return Err(messages::other_region(&region));
        }
        if let Some(id) = arn.resource.strip_prefix("key/") {
            let id = id.parse().map_err(|_| messages::invalid_key_id(text))?;
            Ok(self.key_by_id(account, id))
        } else if aliases && arn.resource.starts_with(AliasName::PREFIX) {
            let name = arn.resource.parse().map_err(|_| malformed())?;
            Ok(self.key_by_alias(account, name))
        } else {
            Err(messages::invalid_key_id(text))
        }
    }

    /// The key of this id, as it is now.
    fn known_key(&self, id: &KeyId) -> Option<Arc<Key>> {
        self.view.key(id).map(|key| key.as_of(self.now))
    }

    fn key_by_id(&self, account: AccountId, id: KeyId) -> (Asked, Option<AccountId>, Found) {
        let arn = KeyArn { region: self.region.name().clone(), account, id };
        let key = self.known_key(&id).filter(|key| key.account == account);
        let absent = || Found::Absent(messages::key_not_found(&arn));
        let found = key.map_or_else(absent, Found::Key);
        (Asked::Arn(arn.into()), Some(account), found)
    }

    fn key_by_alias(
        &self,
        account: AccountId,
        name: AliasName,
    ) -> (Asked, Option<AccountId>, Found) {
        let alias = self.view.alias(account, &name);
        let key = alias.and_then(|alias| self.known_key(&alias.target));
        let arn = self.alias_arn(account, name);
        let absent = || Found::Absent(messages::alias_not_found(&arn));
        let found = key.map_or_else(absent, Found::Key);
        (Asked::Arn(arn.into()), Some(account), found)
    }

    fn alias(
        &self,
        name: AliasName,
        must_exist: bool,
    ) -> Result<(Asked, Option<AccountId>, Found), Error> {
        if name.is_reserved() {
            return Err(messages::alias_reserved());
        }
        let exists = self.view.alias(self.account, &name).is_some();
        let arn = self.alias_arn(self.account, name.clone());
        let found = if must_exist && !exists {
            Found::Absent(messages::alias_not_found(&arn))
        } else {
            Found::Alias(name)
        };
        Ok((Asked::Arn(arn.into()), Some(self.account), found))
    }

    fn alias_arn(&self, account: AccountId, name: AliasName) -> AliasArn {
        AliasArn { region: self.region.name().clone(), account, name }
    }
}

fn key_arn(region: &Region, key: &Key) -> KeyArn {
    KeyArn { region: region.clone(), account: key.account, id: key.id }
}

/// An alias name as the alias operations take it.
fn alias_name(name: &str) -> Result<AliasName, Error> {
    if !name.starts_with(AliasName::PREFIX) {
        return Err(messages::alias_prefix());
    }
    name.parse().map_err(|_| messages::invalid_key_id(name))
}
