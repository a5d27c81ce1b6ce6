//! Blobs: base64 with padding in JSON.

use std::fmt;

use base64::display::Base64Display;
use base64::engine::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{self, Visitor};
use serde::{Deserializer, Serializer};

use super::Value;
use crate::Violations;
use crate::query::Xml;
use crate::shape::ValueShape;

impl Value for Bytes {
    fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        _: &'static ValueShape,
        violations: &mut Violations,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Base64 { violations })
    }

    fn write<S: Serializer>(&self, _: &ValueShape, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self, &STANDARD))
    }

    fn write_xml(&self, _: &ValueShape, xml: &mut Xml) {
        xml.push_escaped(&STANDARD.encode(self));
    }

    fn check(&self, shape: &ValueShape, violations: &mut Violations) {
        violations.length(shape, self.len(), None);
    }

    fn show(&self, _: &ValueShape, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Reads base64, strictly: no white space, no missing padding, no stray bits.
struct Base64<'a> {
    violations: &'a mut Violations,
}

impl Visitor<'_> for Base64<'_> {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string of base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        let bytes = STANDARD.decode(text).map_err(|_| self.violations.fail("Invalid base64"))?;
        Ok(bytes.into())
    }
}
