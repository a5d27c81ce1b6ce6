//! Why a text is no policy, and where in it.

use std::fmt;

/// A text that is no policy. The place is written as in `Statement[2].Condition.StringLike`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {reason}")]
pub struct PolicyError {
    /// The place; `policy` for the whole.
    pub at: String,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong in a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The text is longer than its kind may be. For a key policy the service calls it a limit
    /// exceeded, not a malformed document.
    #[error("the policy is larger than {0} bytes")]
    TooLarge(usize),
    /// A character that policies must not hold.
    #[error("the character {0:?} is not allowed in a policy")]
    Character(char),
    /// Not JSON at all.
    #[error("not valid JSON: {0}")]
    Json(String),
    /// An element twice in one object.
    #[error("the element is given twice")]
    Duplicate,
    /// An element that the language does not have.
    #[error("no such element")]
    Unknown,
    /// An element that must be there is not.
    #[error("the element is missing")]
    Missing,
    /// An element that must not be in this kind of policy, or not beside another one.
    #[error("not allowed here: {0}")]
    Forbidden(&'static str),
    /// A value of another JSON type than it must be.
    #[error("must be {0}")]
    Type(&'static str),
    /// A list with nothing in it.
    #[error("the list is empty")]
    Empty,
    /// A text that is not what it must be.
    #[error("{text:?} is not {what}")]
    Text {
        /// What it must be.
        what: &'static str,
        /// The start of the text.
        text: String,
    },
    /// A condition that is true whenever the request leaves out what it asks about.
    #[error("OverlyPermissiveCondition: ForAllValues must not be used with single-valued keys")]
    OverlyPermissive,
}

impl Reason {
    pub(crate) fn text(what: &'static str, text: &str) -> Self {
        // Enough to recognise the culprit, never a megabyte of it.
        Self::Text { what, text: text.chars().take(128).collect() }
    }
}

/// A place in a document, spelt out only when something is wrong there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At<'a> {
    Top,
    Field(&'a At<'a>, &'a str),
    Item(&'a At<'a>, usize),
}

impl<'a> At<'a> {
    pub(crate) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(crate) fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }

    pub(crate) fn error(&self, reason: Reason) -> PolicyError {
        PolicyError { at: self.to_string(), reason }
    }

    pub(crate) fn refuse<T>(&self, reason: Reason) -> Result<T, PolicyError> {
        Err(self.error(reason))
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => f.write_str("policy"),
            Self::Field(Self::Top, name) => short(name, f),
            Self::Field(outer, name) => {
                write!(f, "{outer}.")?;
                short(name, f)
            }
            Self::Item(outer, index) => write!(f, "{outer}[{index}]"),
        }
    }
}

/// Names come from the document and may be of any length.
fn short(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    name.chars().take(128).try_for_each(|c| fmt::Write::write_char(f, c))
}
