//! What operations touch, as requests name it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use keystead_api::{Error, ErrorCode, kms, messages};
use keystead_crypto::blob::ParsedBlob;
use keystead_types::KeyId;

use crate::conditions::Facts;

/// What an operation touches, as the request names it, with the action that must be allowed and
/// what the request says that policies may ask about.
#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    pub(crate) action: &'static str,
    pub(crate) name: Name<'a>,
    pub(crate) facts: Facts<'a>,
}

/// How a request names something.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Name<'a> {
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
