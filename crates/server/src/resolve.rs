//! From what a request names to what it means: keys, aliases, ciphertexts.
//!
//! Resolution tells nobody anything: what is absent is carried on as such, and only the
//! authorisation decides whether the caller may learn of it.

use std::sync::Arc;

use keystead_api::{Error, ErrorCode, messages};
use keystead_crypto::blob::ParsedBlob;
use keystead_state::{Key, View};
use keystead_types::{
    AccountId, AliasArn, AliasName, Arn, KeyArn, KeyId, KmsArn, PARTITION, Region,
};

/// What an operation touches, as the request names it, with the action that must be allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) action: &'static str,
    name: Name<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Name<'a> {
    /// No resource but the account itself.
    Account,
    /// A key id or key ARN; alias names and alias ARNs too where `aliases` says so.
    Key { reference: &'a str, aliases: bool },
    /// The key that made a ciphertext.
    Ciphertext(KeyId),
    /// An alias, existing or not.
    Alias { name: &'a str, must_exist: bool },
    /// The key that an alias points at.
    AliasTarget(&'a str),
}

impl<'a> Target<'a> {
    /// No resource but the account itself.
    pub(crate) fn account(action: &'static str) -> Self {
        Self { action, name: Name::Account }
    }

    /// A key, by any of its names.
    pub(crate) fn any_name(reference: &'a str, action: &'static str) -> Self {
        Self { action, name: Name::Key { reference, aliases: true } }
    }

    /// A key, by id or ARN.
    pub(crate) fn id_or_arn(reference: &'a str, action: &'static str) -> Self {
        Self { action, name: Name::Key { reference, aliases: false } }
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
                Ok(Self { action, name: Name::Ciphertext(parsed.key_id()) })
            }
            (None, None) => Err(messages::required_member(member)),
        }
    }

    /// An alias that must exist.
    pub(crate) fn alias(name: &'a str, action: &'static str) -> Self {
        Self { action, name: Name::Alias { name, must_exist: true } }
    }

    /// An alias that is to be created.
    pub(crate) fn new_alias(name: &'a str, action: &'static str) -> Self {
        Self { action, name: Name::Alias { name, must_exist: false } }
    }

    /// The key that an alias points at.
    pub(crate) fn alias_target(name: &'a str, action: &'static str) -> Self {
        Self { action, name: Name::AliasTarget(name) }
    }
}

/// A target with what it turned out to be.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) action: &'static str,
    /// The resource as the caller wrote it, as an ARN; what a denial names.
    pub(crate) asked: Asked,
    /// The account whose resource it is, where one is known.
    pub(crate) owner: Option<AccountId>,
    pub(crate) found: Found,
}

/// How a denial speaks of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// As `*`: no resource in particular.
    Anything,
    /// By ARN.
    Arn(KmsArn),
    /// As "the resource associated with this ciphertext".
    Ciphertext,
}

/// What a target turned out to be.
#[derive(Debug)]
pub(crate) enum Found {
    Account,
    Key(Arc<Key>),
    Alias(AliasName),
    /// Nothing; the error is for those who may know.
    Absent(Error),
}

/// Who asks, and where.
#[derive(Clone, Copy)]
pub(crate) struct Resolver<'a> {
    pub(crate) view: &'a View,
    pub(crate) region: &'a Region,
    pub(crate) account: AccountId,
}

impl Resolver<'_> {
    /// Resolves one target.
    ///
    /// # Errors
    /// A name that could not be that of anything.
    pub(crate) fn resolve(&self, target: &Target<'_>) -> Result<Resource, Error> {
        let (asked, owner, found) = match target.name {
            Name::Account => (Asked::Anything, Some(self.account), Found::Account),
            Name::Key { reference, aliases } => self.key(reference, aliases)?,
            Name::Ciphertext(id) => {
                let key = self.view.key(&id).cloned();
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
            Name::AliasTarget(name) => {
                let name = alias_name(name)?;
                let alias = self.view.alias(self.account, &name);
                let key = alias.and_then(|alias| self.view.key(&alias.target)).cloned();
                let arn = self.alias_arn(self.account, name);
                let absent = || Found::Absent(messages::alias_not_found(&arn));
                let found = key.map_or_else(absent, Found::Key);
                (Asked::Arn(arn.into()), Some(self.account), found)
            }
        };
        Ok(Resource { action: target.action, asked, owner, found })
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
        if arn.region != self.region.as_str() {
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

    fn key_by_id(&self, account: AccountId, id: KeyId) -> (Asked, Option<AccountId>, Found) {
        let arn = KeyArn { region: self.region.clone(), account, id };
        let key = self.view.key(&id).filter(|key| key.account == account).cloned();
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
        let key = alias.and_then(|alias| self.view.key(&alias.target)).cloned();
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
        AliasArn { region: self.region.clone(), account, name }
    }
}

/// An alias name as the alias operations take it.
fn alias_name(name: &str) -> Result<AliasName, Error> {
    if !name.starts_with(AliasName::PREFIX) {
        return Err(messages::alias_prefix());
    }
    name.parse().map_err(|_| messages::invalid_key_id(name))
}
