//! From what a request names to what it means: keys, aliases, ciphertexts.
//!
//! Resolution tells nobody anything: what is absent is carried on as such, and only the
//! authorisation decides whether the caller may learn of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_api::{Error, ErrorCode, kms, messages};
use keystead_crypto::blob::ParsedBlob;
use keystead_state::{Grant, Key, Policy, Role, View};
use keystead_types::{
    AccountId, AliasArn, AliasName, Arn, GrantId, KeyArn, KeyId, KmsArn, PARTITION, Region,
    UnixMillis,
};

use crate::conditions::Facts;
use crate::grant_token;
use crate::managed_keys::Unmade;
use crate::region::RegionServer;

/// What an operation touches, as the request names it, with the action that must be allowed and
/// what the request says that policies may ask about.
#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    pub(crate) action: &'static str,
    name: Name<'a>,
    facts: Facts<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Name<'a> {
    /// No resource but the account itself.
    Account,
    /// A key id or key ARN; alias names and alias ARNs too where `aliases` says so.
    Key { reference: &'a str, aliases: bool },
    /// A key by any of its names, also the AWS-managed one of a service that is not made yet.
    KeyOrUnmade(&'a str),
    /// The key that made a ciphertext.
    Ciphertext(KeyId),
    /// An alias, existing or not.
    Alias { name: &'a str, must_exist: bool },
    /// The key that an alias points at.
    AliasTarget(&'a str),
    /// A grant, by its id and its key.
    Grant { key: &'a str, id: &'a str },
    /// A grant, by a token.
    GrantToken(&'a str),
    /// Somebody who may retire grants: a service, or a principal by ARN.
    Retiring(&'a str),
}

impl<'a> Target<'a> {
    /// No resource but the account itself.
    pub(crate) fn account(action: &'static str) -> Self {
        Self { action, facts: Facts::default(), name: Name::Account }
    }

    /// A key, by any of its names.
    pub(crate) fn any_name(reference: &'a str, action: &'static str) -> Self {
        Self { action, facts: Facts::default(), name: Name::Key { reference, aliases: true } }
    }

    /// The same, also where the name is that of an AWS-managed key that is not made yet.
    pub(crate) fn any_name_or_unmade(reference: &'a str, action: &'static str) -> Self {
        Self { action, facts: Facts::default(), name: Name::KeyOrUnmade(reference) }
    }

    /// A key, by id or ARN.
    pub(crate) fn id_or_arn(reference: &'a str, action: &'static str) -> Self {
        Self { action, facts: Facts::default(), name: Name::Key { reference, aliases: false } }
    }

    /// The key named by `reference` or else by the ciphertext.
    ///
    /// # Errors
    /// `InvalidCiphertextException` if only the ciphertext could tell and it is not one;
    /// `ValidationException` if there is neither.
    pub(crate) fn ciphertext(
        blob: Option<&[u8]>,
        reference: Option<&'a str>,
        member: &'static str,
        action: &'static str,
    ) -> Result<Self, Error> {
        match (reference, blob) {
            (Some(reference), _) => Ok(Self::any_name(reference, action)),
            (None, Some(blob)) => {
                let parsed = ParsedBlob::parse(blob)
                    .map_err(|_| Error::bare(ErrorCode::InvalidCiphertextException))?;
                Ok(Self {
                    action,
                    facts: Facts::default(),
                    name: Name::Ciphertext(parsed.key_id()),
                })
            }
            (None, None) => Err(messages::required_member(member)),
        }
    }

    /// An alias that must exist.
    pub(crate) fn alias(name: &'a str, action: &'static str) -> Self {
        Self { action, facts: Facts::default(), name: Name::Alias { name, must_exist: true } }
    }

    /// An alias that is to be created.
    pub(crate) fn new_alias(name: &'a str, action: &'static str) -> Self {
        Self { action, facts: Facts::default(), name: Name::Alias { name, must_exist: false } }
    }

    /// A grant on a key, by its id.
    pub(crate) fn grant(key: &'a str, id: &'a str, action: &'static str) -> Self {
        Self { action, facts: Facts::default(), name: Name::Grant { key, id } }
    }

    /// The grant that a token names.
    pub(crate) fn grant_token(token: &'a str, action: &'static str) -> Self {
        Self { action, facts: Facts::default(), name: Name::GrantToken(token) }
    }

    /// Somebody who may retire grants.
    pub(crate) fn retiring(name: &'a str, action: &'static str) -> Self {
        Self { action, facts: Facts::default(), name: Name::Retiring(name) }
    }

    /// The same, with a value for a condition key; an empty one is none.
    pub(crate) fn fact(mut self, key: &'static str, value: impl Into<Cow<'a, str>>) -> Self {
        self.facts.add(key, value);
        self
    }

    /// The same, with a parameter that is true or false.
    pub(crate) fn flag(mut self, key: &'static str, flag: Option<bool>) -> Self {
        self.facts.add_flag(key, flag);
        self
    }

    /// The same, with an encryption context.
    pub(crate) fn context(mut self, context: &'a BTreeMap<String, String>) -> Self {
        self.facts.set_context(context);
        self
    }

    /// The same, with tags that are to be set.
    pub(crate) fn tags(mut self, tags: &'a [kms::Tag]) -> Self {
        self.facts.set_tags(tags.iter().map(|tag| (tag.tag_key(), tag.tag_value())));
        self
    }

    /// The same, with keys of tags that are to go.
    pub(crate) fn tag_keys(mut self, keys: &'a [String]) -> Self {
        self.facts.set_tag_keys(keys);
        self
    }

    /// The key that an alias points at.
    pub(crate) fn alias_target(name: &'a str, action: &'static str) -> Self {
        Self { action, facts: Facts::default(), name: Name::AliasTarget(name) }
    }

    /// The same, with other facts.
    pub(crate) fn stating(self, facts: Facts<'a>) -> Self {
        Self { facts, ..self }
    }

    /// What the request says about it.
    pub(crate) fn facts(&self) -> &Facts<'a> {
        &self.facts
    }

    /// Whether it is a key.
    pub(crate) fn is_key(&self) -> bool {
        use Name::{AliasTarget, Ciphertext, Key, KeyOrUnmade};
        matches!(self.name, Key { .. } | KeyOrUnmade(_) | Ciphertext(_) | AliasTarget(_))
    }

    /// What it is, in words, where it is no key.
    pub(crate) fn beside_keys(&self) -> Option<&'static str> {
        match self.name {
            Name::Account => Some("*"),
            Name::Alias { .. } => Some("the alias"),
            _ => None,
        }
    }

    /// Whether it is a key that may be named by an alias.
    pub(crate) fn takes_alias(&self) -> bool {
        use Name::{AliasTarget, Key, KeyOrUnmade};
        matches!(self.name, Key { aliases: true, .. } | KeyOrUnmade(_) | AliasTarget(_))
    }
}

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
