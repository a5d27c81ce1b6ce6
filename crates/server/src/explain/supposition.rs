//! What is asked, read: the action, the key, and what a request would say of itself.

use std::collections::BTreeMap;

use keystead_api::Error;
use keystead_policy::condition_key;
use keystead_types::{AccountId, KeyArn};

use super::{Explainer, NoAnswer};
use crate::admin::proto;
use crate::clock;
use crate::conditions::Supposed;
use crate::operations::{self, Action};
use crate::resolve::{Asked, Found, Resolver, Resource, Target};

/// The part of a condition key's name that stands before a key of the encryption context.
const ENCRYPTION_CONTEXT: &str = "kms:EncryptionContext:";

/// A request for an action on a key that nobody sent.
pub(super) struct Supposition<'a> {
    pub(super) action: &'static Action,
    pub(super) key: &'a str,
    /// Whose key, where the key's name does not say it.
    pub(super) account: Option<AccountId>,
    pub(super) supposed: Supposed,
    encryption_context: BTreeMap<String, String>,
}

impl<'a> Supposition<'a> {
    /// Reads what is asked.
    ///
    /// # Errors
    /// There is no such action, account or condition key, or a key has more values than it can.
    pub(super) fn read(asked: &'a proto::Supposition) -> Result<Self, NoAnswer> {
        let action = operations::action(&asked.action).ok_or_else(|| {
            let text = format!(
                "{:?} is no action that a request for a key needs; kms:Encrypt is one.",
                asked.action
            );
            NoAnswer::Invalid(text)
        })?;
        let account = match asked.account.as_str() {
            "" => None,
            id => Some(id.parse().map_err(|_| invalid(format!("{id:?} is no account id.")))?),
        };
        let mut encryption_context = BTreeMap::new();
        let mut given = Vec::<(String, Vec<String>)>::new();
        for proto::ConditionValue { key, value } in &asked.context {
            if let Some(pair) = after(key, ENCRYPTION_CONTEXT) {
                if encryption_context.insert(pair.to_owned(), value.clone()).is_some() {
                    return Err(invalid(format!("{key} has one value only.")));
                }
                continue;
            }
            match given.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(key)) {
                Some((_, values)) => values.push(value.clone()),
                None => given.push((key.clone(), vec![value.clone()])),
            }
        }
        given.iter().try_for_each(|(key, values)| check(key, values))?;
        let supposed = Supposed { time: clock::now(), given };
        Ok(Self { action, key: &asked.key, account, supposed, encryption_context })
    }

    /// The key, with what such a request says of it.
    ///
    /// # Errors
    /// There is no such key.
    pub(super) fn resource(
        &self,
        explainer: &Explainer<'_>,
        account: AccountId,
    ) -> Result<Resource<'_>, NoAnswer> {
        let Explainer { view, region } = *explainer;
        let target = Target::any_name(self.key, self.action.name)
            .stating(self.action.facts.clone())
            .context(&self.encryption_context);
        let now = self.supposed.time.max(view.clock());
        let via_service = false;
        let resolver = Resolver { view, region, account, via_service, now };
        let resolved = resolver.resolve(target);
        let mut resource = resolved.map_err(|error| invalid(text(&error)))?;
        if let Found::Absent(error) = &resource.found {
            return Err(NoAnswer::Absent(text(error)));
        }
        if !self.action.takes_alias
            && let Found::Key(key) = &resource.found
        {
            let (region, account, id) = (region.name().clone(), key.account, key.id);
            resource.asked = Asked::Arn(KeyArn { region, account, id }.into());
        }
        (self.action.relate)(std::slice::from_mut(&mut resource));
        Ok(resource)
    }
}

fn invalid(text: String) -> NoAnswer {
    NoAnswer::Invalid(text)
}

/// What a request would be told.
fn text(error: &Error) -> String {
    error.message().unwrap_or(error.code().as_str()).to_owned()
}

fn after<'t>(text: &'t str, start: &str) -> Option<&'t str> {
    let (found, rest) = text.split_at_checked(start.len())?;
    (found.eq_ignore_ascii_case(start) && !rest.is_empty()).then_some(rest)
}

/// A slip in one of our condition keys would be a condition about nothing.
fn check(key: &str, values: &[String]) -> Result<(), NoAnswer> {
    let service = key.split_once(':').map_or("", |(service, _)| service);
    let ours = ["kms", "aws"].iter().any(|known| service.eq_ignore_ascii_case(known));
    match condition_key(key) {
        Some(known) if known.multi_valued || values.len() < 2 => Ok(()),
        Some(_) => Err(invalid(format!("{key} has one value only."))),
        None if ours || service.is_empty() => {
            Err(invalid(format!("{key:?} is no condition key; aws:SourceIp is one.")))
        }
        None => Ok(()),
    }
}
