//! What the operations on grants have in common.

use std::collections::BTreeMap;

use keystead_api::{Error, ErrorCode, kms, messages};
use keystead_policy::NamedPrincipal;
use keystead_state::{Grant, GrantConstraints, GrantPrincipal};
use keystead_types::{AccountId, KeyArn, Principal};

use crate::convert;
use crate::pipeline::Call;

/// The most pairs of a constraint, and the most characters of a value.
const MAX_PAIRS: usize = 8;
const MAX_VALUE: usize = 384;

/// A grant as the listings show it.
pub(super) fn entry(call: &Call<'_>, grant: &Grant) -> kms::GrantListEntry {
    let account = call.view.key(&grant.key).map_or(grant.issuing_account, |key| key.account);
    let arn = KeyArn { region: call.region.name().clone(), account, id: grant.key };
    let mut entry = kms::GrantListEntry {
        key_id: Some(arn.to_string()),
        grant_id: Some(grant.id.to_string()),
        name: Some(grant.name.to_string()),
        creation_date: Some(convert::timestamp(grant.created)),
        issuing_account: Some(Principal::Root(grant.issuing_account).to_string()),
        operations: grant
            .operations
            .iter()
            .filter_map(|operation| kms::GrantOperation::from_text(operation.as_str()))
            .map(Into::into)
            .collect(),
        constraints: shown_constraints(&grant.constraints),
        ..Default::default()
    };
    match shown(call, &grant.grantee) {
        (name, false) => entry.grantee_principal = Some(name),
        (name, true) => entry.grantee_service_principal = Some(name),
    }
    match grant.retiring.as_ref().map(|retiring| shown(call, retiring)) {
        Some((name, false)) => entry.retiring_principal = Some(name),
        Some((name, true)) => entry.retiring_service_principal = Some(name),
        None => {}
    }
    entry
}

/// A principal's name, and whether it is a service. Users go by the names they have now; those who
/// are gone by their unique ids.
pub(super) fn shown(call: &Call<'_>, principal: &GrantPrincipal) -> (String, bool) {
    match &principal.named {
        NamedPrincipal::UniqueId(id) => {
            let arn = call.view.principal_arn(id);
            (arn.map_or_else(|| id.clone(), |arn| arn.to_string()), false)
        }
        NamedPrincipal::Service(name) => (name.clone(), true),
        _ => (principal.name.to_string(), false),
    }
}

fn shown_constraints(constraints: &GrantConstraints) -> Option<kms::GrantConstraints> {
    let GrantConstraints { equals, subset, source_arn } = constraints;
    if *constraints == GrantConstraints::default() {
        return None;
    }
    Some(kms::GrantConstraints {
        encryption_context_subset: subset.clone().unwrap_or_default(),
        encryption_context_equals: equals.clone().unwrap_or_default(),
        source_arn: source_arn.as_deref().map(str::to_owned),
    })
}

/// The one that is given of two members that exclude each other.
pub(super) fn one_of<'a>(
    one: Option<&'a str>,
    other: Option<&'a str>,
    one_name: &str,
    other_name: &str,
) -> Result<Option<&'a str>, Error> {
    if one.is_some() && other.is_some() {
        let text = format!("You cannot specify both {one_name} and {other_name}.");
        return Err(Error::new(ErrorCode::ValidationException, text));
    }
    Ok(one.or(other))
}

/// A principal by ARN, account id or service name, in the form in which grants keep it.
pub(super) fn principal(name: &str, service: bool) -> Result<String, Error> {
    if service {
        return Ok(name.to_owned());
    }
    if let Ok(account) = name.parse::<AccountId>() {
        return Ok(Principal::Root(account).to_string());
    }
    match NamedPrincipal::parse_aws(name) {
        Ok(NamedPrincipal::Account(_) | NamedPrincipal::Arn(_)) => Ok(name.to_owned()),
        _ => Err(messages::invalid_arn(name)),
    }
}

/// Refuses constraints that no key can have, and those on an encryption context for a key that
/// takes none.
pub(super) fn check_constraints(
    constraints: Option<&kms::GrantConstraints>,
    symmetric: bool,
) -> Result<(), Error> {
    let Some(constraints) = constraints else { return Ok(()) };
    let refused = |text: &'static str| Err(Error::new(ErrorCode::ValidationException, text));
    let contexts = [&constraints.encryption_context_equals, &constraints.encryption_context_subset];
    for context in contexts {
        if !context.is_empty() && !symmetric {
            return refused(
                "Encryption context constraints are valid only for symmetric encryption keys.",
            );
        }
        if context.len() > MAX_PAIRS {
            return refused("A grant constraint can have at most 8 encryption context pairs.");
        }
        if context.values().any(|value| value.chars().count() > MAX_VALUE) {
            return refused("A value in a grant constraint can have at most 384 characters.");
        }
    }
    Ok(())
}

/// A context constraint as the state keeps it; an empty one constrains nothing.
pub(super) fn context(
    pairs: &BTreeMap<String, String>,
) -> Option<keystead_state::proto::EncryptionContextRecord> {
    (!pairs.is_empty())
        .then(|| keystead_state::proto::EncryptionContextRecord { pairs: pairs.clone() })
}
