//! Lists, and maps from strings to strings.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserializer, Serialize, Serializer};

use super::{Shown, Value};
use crate::Violations;
use crate::query::Xml;
use crate::shape::{Kind, ValueShape};

impl<V: Value> Value for Vec<V> {
    fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        shape: &'static ValueShape,
        violations: &mut Violations,
    ) -> Result<Self, D::Error> {
        let marker = std::marker::PhantomData;
        deserializer.deserialize_seq(List { shape: item(shape), violations, marker })
    }

    fn write<S: Serializer>(&self, shape: &ValueShape, serializer: S) -> Result<S::Ok, S::Error> {
        let shape = item(shape);
        let mut out = serializer.serialize_seq(Some(self.len()))?;
        for value in self {
            out.serialize_element(&Written(value, shape))?;
        }
        out.end()
    }

    fn write_xml(&self, shape: &ValueShape, xml: &mut Xml) {
        for value in self {
            xml.element("member", |xml| value.write_xml(item(shape), xml));
        }
    }

    fn check(&self, shape: &ValueShape, violations: &mut Violations) {
        violations.length(shape, self.len(), None);
        let shape = item(shape);
        for (index, value) in self.iter().enumerate() {
            violations.enter_item(index);
            value.check(shape, violations);
            violations.leave();
        }
    }

    fn show(&self, shape: &ValueShape, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|value| Shown(value, item(shape)))).finish()
    }

    fn normalise(&mut self, shape: &ValueShape) -> bool {
        let shape = item(shape);
        for value in self {
            value.normalise(shape);
        }
        true
    }
}

impl Value for BTreeMap<String, String> {
    fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        _: &'static ValueShape,
        violations: &mut Violations,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Map { violations })
    }

    fn write<S: Serializer>(&self, _: &ValueShape, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }

    fn write_xml(&self, _: &ValueShape, xml: &mut Xml) {
        for (key, value) in self {
            xml.element("entry", |xml| {
                xml.text("key", key);
                xml.text("value", value);
            });
        }
    }

    fn check(&self, shape: &ValueShape, violations: &mut Violations) {
        violations.length(shape, self.len(), None);
    }

    fn show(&self, _: &ValueShape, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The shape of a list's items.
fn item(shape: &ValueShape) -> &ValueShape {
    match shape.kind {
        Kind::List(item) => item,
        _ => shape,
    }
}

/// Writes an item with its shape.
pub(super) struct Written<'a, V>(pub(super) &'a V, pub(super) &'a ValueShape);

impl<V: Value> Serialize for Written<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(self.1, serializer)
    }
}

/// Reads one value with its shape.
struct Item<'a, V> {
    shape: &'static ValueShape,
    violations: &'a mut Violations,
    marker: std::marker::PhantomData<V>,
}

impl<'de, V: Value> DeserializeSeed<'de> for Item<'_, V> {
    type Value = V;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V, D::Error> {
        V::read(deserializer, self.shape, self.violations)
    }
}

/// Reads a list whose items have this shape.
struct List<'a, V> {
    shape: &'static ValueShape,
    violations: &'a mut Violations,
    marker: std::marker::PhantomData<V>,
}

impl<'de, V: Value> Visitor<'de> for List<'_, V> {
    type Value = Vec<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<V>, A::Error> {
        let Self { shape, violations, marker } = self;
        let mut values = Vec::new();
        loop {
            violations.enter_item(values.len());
            let item = Item { shape, violations: &mut *violations, marker };
            let next = list.next_element_seed(item)?;
            violations.leave();
            match next {
                Some(value) => values.push(value),
                None => return Ok(values),
            }
        }
    }
}

/// Reads a map, in which no key may occur twice.
struct Map<'a> {
    violations: &'a mut Violations,
}

impl<'de> Visitor<'de> for Map<'_> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            match pairs.entry(key) {
                Entry::Vacant(entry) => entry.insert(value),
                Entry::Occupied(_) => return Err(self.violations.fail("Duplicate key")),
            };
        }
        Ok(pairs)
    }
}
