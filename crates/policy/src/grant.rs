//! Grants: what one principal may do with one key, aside from all policies.

use crate::caller::{Named, NamedPrincipal};
use crate::decide::{Miss, Query};
use crate::defect::{Defect, planted};

/// A grant on the key that is asked about. Whether it exists and may be used yet is for the
/// caller to know; whether it covers the request is decided here.
#[derive(Debug, Clone, Copy)]
pub struct Grant<'a> {
    /// Its id, for explanations.
    pub id: &'a str,
    /// To whom.
    pub grantee: &'a NamedPrincipal,
    /// What, as in `Decrypt`.
    pub operations: &'a [&'a str],
    /// The encryption context must be this one.
    pub encryption_context_equals: Option<&'a [(&'a str, &'a str)]>,
    /// The encryption context must have these pairs.
    pub encryption_context_subset: Option<&'a [(&'a str, &'a str)]>,
    /// The request must be made for this resource.
    pub source_arn: Option<&'a str>,
}

/// Operations that have no encryption context of their own.
const CONTEXT_FREE: [&str; 2] = ["DescribeKey", "RetireGrant"];

impl<'a> Grant<'a> {
    pub(crate) fn covers(&self, query: &Query<'_>) -> Result<Named, Miss<'a>> {
        let named = self.grantee.names(query.caller).ok_or(Miss::Principal)?;
        let (service, operation) = query.action.split_once(':').unwrap_or(("", query.action));
        let granted = self.operations.contains(&operation) || planted(Defect::GrantAnyOperation);
        if service != "kms" || !granted {
            return Err(Miss::Action);
        }
        let context_free =
            CONTEXT_FREE.contains(&operation) && !planted(Defect::GrantContextForDescribe);
        if !context_free && !self.context_fits(query.encryption_context) {
            return Err(Miss::EncryptionContext);
        }
        let source = self.source_arn.is_none_or(|arn| {
            query.context.values("aws:SourceArn") == [arn]
                || operation == "RetireGrant"
                || planted(Defect::GrantSourceIgnored)
        });
        if source { Ok(named) } else { Err(Miss::SourceArn) }
    }

    fn context_fits(&self, given: &[(&str, &str)]) -> bool {
        // Both ways and in number: keys that differ only in case are the same to a grant.
        let equals = self.encryption_context_equals.is_none_or(|wanted| {
            contains(given, wanted)
                && (planted(Defect::GrantEqualsIsSubset)
                    || (contains(wanted, given) && given.len() == wanted.len()))
        });
        let subset = self.encryption_context_subset.is_none_or(|wanted| contains(given, wanted));
        (equals && subset) || planted(Defect::GrantContextIgnored)
    }
}

fn contains(all: &[(&str, &str)], some: &[(&str, &str)]) -> bool {
    some.iter().all(|(key, value)| {
        all.iter().any(|(k, v)| v == value && (k == key || k.to_lowercase() == key.to_lowercase()))
    })
}
