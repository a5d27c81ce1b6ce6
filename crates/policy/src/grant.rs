//! Grants: what one principal may do with one key, aside from all policies.

use keystead_types::AccountId;

use crate::caller::{Named, NamedPrincipal};
use crate::decide::{By, Miss, Missing, Policies, Query, Step, Verdict, decide, limit};
use crate::defect::{Defect, planted};
use crate::document::Effect;

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

    /// What it has to do with a request, as explanations tell it.
    pub fn step(&self, query: &Query<'_>) -> Step<'a> {
        let miss = self.covers(query).err();
        Step { by: By::Grant(self.id), effect: Effect::Allow, miss }
    }

    /// Whether another grant on the same key allows nothing that this one does not: no other
    /// operations, and under constraints at least as strict. What is as strict in other words, such
    /// as a context key in another case, does not count.
    pub fn includes(&self, other: &Grant<'_>) -> bool {
        let operations = other.operations.iter().all(|op| self.operations.contains(op));
        let equals = self.encryption_context_equals.is_none_or(|wanted| {
            other.encryption_context_equals.is_some_and(|given| same_pairs(wanted, given))
        });
        let subset = self.encryption_context_subset.is_none_or(|wanted| {
            [other.encryption_context_equals, other.encryption_context_subset]
                .into_iter()
                .flatten()
                .any(|given| wanted.iter().all(|pair| given.contains(pair)))
        });
        let source = self.source_arn.is_none_or(|arn| other.source_arn == Some(arn));
        operations && equals && subset && source
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

fn same_pairs(one: &[(&str, &str)], other: &[(&str, &str)]) -> bool {
    one.len() == other.len() && one.iter().all(|pair| other.contains(pair))
}

/// Whether the caller may retire a grant: as the principal that it names for that, as a grantee to
/// whom it gives `RetireGrant`, or as the account that issued it. Where one of these is an account,
/// its users may as far as their own policies let them. A boundary and session policies limit it as
/// they limit what a grant allows; a key policy has no say.
pub fn may_retire<'a>(
    query: &Query<'_>,
    policies: &Policies<'a>,
    grant: &Grant<'a>,
    retiring: Option<&NamedPrincipal>,
    issuer: AccountId,
) -> Verdict<'a> {
    let home = query.caller.account();
    let own = decide(
        &Query { owner: home.unwrap_or(query.owner), ..*query },
        &Policies { key: None, grants: &[], ..*policies },
    );
    if let Verdict::ExplicitDeny(statement) = own {
        return Verdict::ExplicitDeny(statement);
    }
    let grantee = grant.operations.contains(&"RetireGrant").then_some(grant.grantee);
    let named = [retiring, grantee].into_iter().flatten();
    let named = named.filter_map(|principal| principal.names(query.caller)).max();
    let through_account = named.is_some() || home == Some(issuer);
    let directly = named > Some(Named::ByAccount);
    let limit = if directly { limit(query, policies) } else { None };
    if let Some(missing) = limit {
        Verdict::ImplicitDeny(missing)
    } else if directly || (through_account && own.is_allow()) {
        Verdict::Allow { by: By::Grant(grant.id), and: None }
    } else {
        Verdict::ImplicitDeny(if through_account { Missing::Identity } else { Missing::Key })
    }
}
