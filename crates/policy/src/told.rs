//! Decisions in words, for audit trails and explanations.

use std::fmt;

use crate::decide::{By, Miss, Missing, Source, StatementRef, Verdict};

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key policy",
            Self::Identity => "identity-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Trust => "trust policy",
        })
    }
}

/// As in `identity-based policy user/alice/mine, statement 2 (Mine)`; statements count from 1.
impl fmt::Display for StatementRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)?;
        if !self.document.is_empty() {
            write!(f, " {}", self.document)?;
        }
        write!(f, ", statement {}", self.index + 1)?;
        self.sid.map_or(Ok(()), |sid| write!(f, " ({sid})"))
    }
}

impl fmt::Display for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement(statement) => statement.fmt(f),
            Self::Grant(id) => write!(f, "grant {id}"),
            Self::Root => f.write_str("being the account's root"),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "neither the key policy nor a grant allows it",
            Self::Identity => "no identity-based policy allows it",
            Self::Boundary => "the permissions boundary does not allow it",
            Self::Session => "no session policy allows it",
        })
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow { by, and: None } => write!(f, "allowed by {by}"),
            Self::Allow { by, and: Some(and) } => write!(f, "allowed by {by} and {and}"),
            Self::ExplicitDeny(statement) => write!(f, "denied by {statement}"),
            Self::ImplicitDeny(missing) => write!(f, "denied: {missing}"),
        }
    }
}

impl fmt::Display for Miss<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inert => f.write_str("it has no actions or no resources"),
            Self::Principal => f.write_str("it is about other principals"),
            Self::Action => f.write_str("it is about other actions"),
            Self::Resource => f.write_str("it is about other resources"),
            Self::Condition { operator, key } => {
                write!(f, "the condition {operator} on {key} does not hold")
            }
            Self::EncryptionContext => f.write_str("the encryption context is another"),
            Self::SourceArn => f.write_str("it is for another source"),
        }
    }
}
