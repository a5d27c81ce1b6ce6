//! Decisions as the admin API tells them.

use keystead_policy::{By, Context, Effect, Miss, Step, Verdict};
use keystead_types::AccountId;

use crate::admin::proto;

/// What a grant is called among sources.
pub(super) const GRANT: &str = "grant";

/// What gave a verdict.
pub(super) fn deciding<'a>(verdict: &Verdict<'a>) -> Vec<By<'a>> {
    match *verdict {
        Verdict::Allow { by, and } => [Some(by), and].into_iter().flatten().collect(),
        Verdict::ExplicitDeny(statement) => vec![By::Statement(statement)],
        Verdict::ImplicitDeny(_) => Vec::new(),
    }
}

pub(super) fn decision(verdict: &Verdict<'_>) -> proto::Decision {
    proto::Decision {
        allowed: verdict.is_allow(),
        reason: verdict.to_string(),
        by: deciding(verdict).iter().map(source).collect(),
    }
}

/// What becomes of all requests of an account that is suspended.
pub(super) fn suspended(account: AccountId) -> proto::Decision {
    let reason = format!("denied: account {account} is suspended");
    proto::Decision { allowed: false, reason, by: Vec::new() }
}

/// A statement or grant that did not decide.
pub(super) fn step(step: &Step<'_>, context: &Context) -> proto::Step {
    proto::Step {
        source: Some(source(&step.by)),
        denies: step.effect == Effect::Deny,
        miss: step.miss.map(|miss| match miss {
            Miss::Condition { key, .. } if context.values(key).is_empty() => {
                format!("{miss}, which has no value")
            }
            _ => miss.to_string(),
        }),
    }
}

fn source(by: &By<'_>) -> proto::Source {
    match by {
        By::Statement(statement) => proto::Source {
            kind: statement.source.to_string(),
            name: statement.document.to_owned(),
            statement: Some(number(statement.index)),
            sid: statement.sid.map(str::to_owned),
        },
        By::Grant(id) => named(GRANT, id),
        By::Root => named("root", ""),
    }
}

fn named(kind: &str, name: &str) -> proto::Source {
    proto::Source { kind: kind.to_owned(), name: name.to_owned(), ..proto::Source::default() }
}

/// A statement's number, counted from 1.
pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}
