//! What the protos say about messages: tables for decoding, validation, tests and documentation.

use std::sync::OnceLock;

use regex::Regex;

/// An operation of the API.
#[derive(Debug, Clone, Copy)]
pub struct OperationShape {
    /// AWS's name, such as `Encrypt`.
    pub name: &'static str,
    /// The request.
    pub input: fn() -> &'static MessageShape,
    /// The response.
    pub output: fn() -> &'static MessageShape,
}

/// A message or structure.
#[derive(Debug)]
pub struct MessageShape {
    /// The name in the protos, such as `EncryptRequest`.
    pub name: &'static str,
    /// The members, in AWS's order.
    pub members: &'static [MemberShape],
}

/// A member of a message.
#[derive(Debug)]
pub struct MemberShape {
    /// AWS's name, such as `KeyId`.
    pub name: &'static str,
    /// The name in the texts of violations, such as `keyId`.
    pub path: &'static str,
    /// The number of the protobuf field.
    pub number: u32,
    /// What values it takes.
    pub value: ValueShape,
    /// Whether the message is invalid without it; an empty list or map counts as absent.
    pub required: bool,
    /// Whether AWS advises against its use.
    pub deprecated: bool,
    /// Whether an empty list or map is written all the same.
    pub emit_empty: bool,
}

/// What values a member or the items of a list take.
#[derive(Debug)]
pub struct ValueShape {
    /// Its type.
    pub kind: Kind,
    /// The least length (characters, bytes or items) or number.
    pub min: Option<i64>,
    /// The greatest length (characters, bytes or items) or number.
    pub max: Option<i64>,
    /// What a text must match as a whole.
    pub pattern: Option<&'static Pattern>,
    /// Whether the service's model calls it sensitive.
    pub sensitive: bool,
    /// Whether it is a token that entitles whoever has it.
    pub bearer: bool,
}

impl ValueShape {
    /// Whether its value must not be shown: secrets, tokens and all blobs.
    pub fn hidden(&self) -> bool {
        self.sensitive || self.bearer || matches!(self.kind, Kind::Blob)
    }
}

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A string.
    Text,
    /// Bytes; base64 in JSON.
    Blob,
    /// A 32-bit integer.
    Integer,
    /// A boolean.
    Boolean,
    /// A point in time; seconds of the Unix epoch in JSON.
    Timestamp,
    /// From strings to strings.
    Map,
    /// A member of an enumeration; its text in JSON, its number in protobuf.
    Enum(fn() -> &'static EnumShape),
    /// A nested message.
    Structure(fn() -> &'static MessageShape),
    /// Any number of these.
    List(&'static ValueShape),
}

/// An enumeration. The number 0 stands for an absent member.
#[derive(Debug)]
pub struct EnumShape {
    /// The name in the protos, such as `KeySpec`.
    pub name: &'static str,
    /// The texts of the numbers 1, 2, …, in AWS's order.
    pub texts: &'static [&'static str],
}

impl EnumShape {
    /// The text of a number; `None` for 0 and unknown ones.
    pub fn text(&self, number: i32) -> Option<&'static str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.texts.get(index).copied()
    }

    /// The number of a text.
    pub fn number(&self, text: &str) -> Option<i32> {
        let index = self.texts.iter().position(|known| *known == text)?;
        i32::try_from(index + 1).ok()
    }
}

/// A regular expression that a whole text must match.
#[derive(Debug)]
pub struct Pattern {
    /// As AWS writes it, and as violations show it.
    pub text: &'static str,
    /// The same in the syntax of the `regex` crate, with ASCII classes written out.
    source: &'static str,
    compiled: OnceLock<Regex>,
}

impl Pattern {
    pub(crate) const fn new(text: &'static str, source: &'static str) -> Self {
        Self { text, source, compiled: OnceLock::new() }
    }

    /// Whether the whole of a text matches.
    pub fn matches(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| {
            Regex::new(&format!(r"\A(?:{})\z", self.source))
                .expect("invariant: every pattern of the protos compiles, as a test checks")
        });
        compiled.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{iam_operations, operations};

    /// Calls back for every value shape that the operations reach.
    fn each_value(message: &'static MessageShape, found: &mut dyn FnMut(&'static ValueShape)) {
        for member in message.members {
            let mut value = &member.value;
            found(value);
            if let Kind::List(item) = value.kind {
                found(item);
                value = item;
            }
            if let Kind::Structure(nested) = value.kind {
                each_value(nested(), found);
            }
        }
    }

    #[test]
    fn every_pattern_compiles() {
        let mut seen = 0;
        for operation in operations().iter().chain(iam_operations()) {
            for message in [(operation.input)(), (operation.output)()] {
                each_value(message, &mut |value| {
                    if let Some(pattern) = value.pattern {
                        pattern.matches("");
                        seen += 1;
                    }
                });
            }
        }
        assert!(seen > 150, "only {seen} patterns");
    }

    #[test]
    fn patterns_match_whole_texts_and_ascii_only() {
        let pattern = Pattern::new(r"[\w]+", "[0-9A-Z_a-z]+");
        assert!(pattern.matches("a_9"));
        assert!(!pattern.matches("a b"));
        assert!(!pattern.matches("a\n"));
        assert!(!pattern.matches("é"));
        let either = Pattern::new("^a$|^bb$", "^a$|^bb$");
        assert!(either.matches("bb"));
        assert!(!either.matches("abb"));
    }
}
