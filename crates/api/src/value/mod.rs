//! How each type of value is read from JSON, written to it and to XML, checked and shown. One file per type;
//! the generated messages only hand over their members, each with its shape.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserializer, Serializer};

use crate::Violations;
use crate::query::Xml;
use crate::shape::{MemberShape, MessageShape, ValueShape};

mod blob;
mod collection;
mod scalar;
mod structure;
mod timestamp;

pub(crate) use structure::{
    debug_object, normalise, read_object, validate, write_elements, write_object,
};

/// A message as the sum of its members. Implemented by the generated messages only.
pub trait Members: Sized + Default {
    /// The table of the members.
    fn shape() -> &'static MessageShape;

    /// Hands over every member, in order.
    ///
    /// # Errors
    /// The visitor's.
    fn visit<V: Visit>(&self, visit: &mut V) -> Result<(), V::Error>;

    /// Hands over the member with this index in the table, to be changed.
    ///
    /// # Errors
    /// The visitor's.
    fn assign<A: Assign>(&mut self, index: usize, assign: A) -> Result<(), A::Error>;
}

/// What is done with every member of a message.
pub trait Visit {
    /// Why it may fail.
    type Error;

    /// Does it.
    ///
    /// # Errors
    /// As the implementation says.
    fn member<F: Field>(
        &mut self,
        shape: &'static MemberShape,
        field: &F,
    ) -> Result<(), Self::Error>;
}

/// What is done to one member of a message.
pub trait Assign: Sized {
    /// Why it may fail.
    type Error;

    /// Does it.
    ///
    /// # Errors
    /// As the implementation says.
    fn member<F: Field>(
        self,
        shape: &'static MemberShape,
        field: &mut F,
    ) -> Result<(), Self::Error>;

    /// There is no such member.
    ///
    /// # Errors
    /// As the implementation says.
    fn unknown(self) -> Result<(), Self::Error>;
}

/// A value on its own: what is in a member that is set, or an item of a list.
pub trait Value: Sized {
    /// Reads it from JSON, noting what is wrong with it.
    ///
    /// # Errors
    /// The deserializer's, if the value is of another type.
    fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        shape: &'static ValueShape,
        violations: &mut Violations,
    ) -> Result<Self, D::Error>;

    /// Writes it as JSON.
    ///
    /// # Errors
    /// The serializer's.
    fn write<S: Serializer>(&self, shape: &ValueShape, serializer: S) -> Result<S::Ok, S::Error>;

    /// Writes it as what is between the tags of an XML element.
    fn write_xml(&self, shape: &ValueShape, xml: &mut Xml);

    /// Notes which of the shape's constraints it violates.
    fn check(&self, shape: &ValueShape, violations: &mut Violations);

    /// Shows it to developers; never what is hidden.
    fn show(&self, shape: &ValueShape, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Brings what arrived as protobuf to the form that JSON gives; `false` if it stands for
    /// nothing.
    fn normalise(&mut self, _shape: &ValueShape) -> bool {
        true
    }
}

/// A member, which may be absent.
pub trait Field {
    /// What it has when it is set.
    type Value: Value;

    /// The value, if it is set; lists and maps are set if they have items.
    fn get(&self) -> Option<&Self::Value>;

    /// The value of an absent list or map, for those that are written all the same.
    fn empty(&self) -> Option<&Self::Value>;

    /// Sets it, or clears it.
    fn set(&mut self, value: Option<Self::Value>);

    /// See [`Value::normalise`].
    fn normalise(&mut self, shape: &ValueShape);
}

impl<V: Value> Field for Option<V> {
    type Value = V;

    fn get(&self) -> Option<&V> {
        self.as_ref()
    }

    fn empty(&self) -> Option<&V> {
        None
    }

    fn set(&mut self, value: Option<V>) {
        *self = value;
    }

    fn normalise(&mut self, shape: &ValueShape) {
        if let Some(value) = self
            && !value.normalise(shape)
        {
            *self = None;
        }
    }
}

impl<V: Value> Field for Vec<V> {
    type Value = Self;

    fn get(&self) -> Option<&Self> {
        (!self.is_empty()).then_some(self)
    }

    fn empty(&self) -> Option<&Self> {
        Some(self)
    }

    fn set(&mut self, value: Option<Self>) {
        *self = value.unwrap_or_default();
    }

    fn normalise(&mut self, shape: &ValueShape) {
        Value::normalise(self, shape);
    }
}

impl Field for BTreeMap<String, String> {
    type Value = Self;

    fn get(&self) -> Option<&Self> {
        (!self.is_empty()).then_some(self)
    }

    fn empty(&self) -> Option<&Self> {
        Some(self)
    }

    fn set(&mut self, value: Option<Self>) {
        *self = value.unwrap_or_default();
    }

    fn normalise(&mut self, _: &ValueShape) {}
}

/// Shows a value with its shape.
struct Shown<'a, V>(&'a V, &'a ValueShape);

impl<V: Value> fmt::Debug for Shown<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1.hidden() { f.write_str("***") } else { self.0.show(self.1, f) }
    }
}
