//! Strings, booleans, integers, and the enumerations that protobuf keeps as integers.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Value;
use crate::Violations;
use crate::query::Xml;
use crate::shape::{EnumShape, Kind, ValueShape};

/// Stands for a text that no member of an enumeration has; never leaves the decoder, as the text
/// is a violation.
const UNKNOWN: i32 = -1;

impl Value for String {
    fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        _: &'static ValueShape,
        _: &mut Violations,
    ) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }

    fn write<S: Serializer>(&self, _: &ValueShape, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }

    fn write_xml(&self, _: &ValueShape, xml: &mut Xml) {
        xml.push_escaped(self);
    }

    fn check(&self, shape: &ValueShape, violations: &mut Violations) {
        if shape.min.is_some() || shape.max.is_some() {
            violations.length(shape, self.chars().count(), Some(self));
        }
        violations.pattern(shape, self);
    }

    fn show(&self, _: &ValueShape, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Value for bool {
    fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        _: &'static ValueShape,
        _: &mut Violations,
    ) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }

    fn write<S: Serializer>(&self, _: &ValueShape, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }

    fn write_xml(&self, _: &ValueShape, xml: &mut Xml) {
        xml.push_escaped(if *self { "true" } else { "false" });
    }

    fn check(&self, _: &ValueShape, _: &mut Violations) {}

    fn show(&self, _: &ValueShape, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Value for i32 {
    fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        shape: &'static ValueShape,
        violations: &mut Violations,
    ) -> Result<Self, D::Error> {
        match shape.kind {
            Kind::Enum(of) => deserializer.deserialize_str(EnumText { shape: of(), violations }),
            _ => Self::deserialize(deserializer),
        }
    }

    fn write<S: Serializer>(&self, shape: &ValueShape, serializer: S) -> Result<S::Ok, S::Error> {
        match shape.kind {
            Kind::Enum(of) => of().text(*self).unwrap_or_default().serialize(serializer),
            _ => self.serialize(serializer),
        }
    }

    fn write_xml(&self, shape: &ValueShape, xml: &mut Xml) {
        match shape.kind {
            Kind::Enum(of) => xml.push_escaped(of().text(*self).unwrap_or_default()),
            _ => xml.push_escaped(&self.to_string()),
        }
    }

    fn check(&self, shape: &ValueShape, violations: &mut Violations) {
        match shape.kind {
            Kind::Enum(of) if of().text(*self).is_none() => {
                violations.unknown_number(of(), *self);
            }
            Kind::Enum(_) => {}
            _ => violations.number(shape, *self),
        }
    }

    fn show(&self, shape: &ValueShape, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match shape.kind {
            Kind::Enum(of) => match of().text(*self) {
                Some(text) => f.write_str(text),
                None => fmt::Debug::fmt(self, f),
            },
            _ => fmt::Debug::fmt(self, f),
        }
    }

    fn normalise(&mut self, shape: &ValueShape) -> bool {
        !matches!(shape.kind, Kind::Enum(_)) || *self != 0
    }
}

/// Reads the text of an enumeration as its number.
struct EnumText<'a> {
    shape: &'static EnumShape,
    violations: &'a mut Violations,
}

impl Visitor<'_> for EnumText<'_> {
    type Value = i32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<i32, E> {
        Ok(self.shape.number(text).unwrap_or_else(|| {
            self.violations.unknown_text(self.shape, text);
            UNKNOWN
        }))
    }
}
