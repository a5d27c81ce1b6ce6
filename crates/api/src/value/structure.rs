//! Messages: what is done with their members, whatever they are.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserializer, Serializer};

use super::collection::Written;
use super::{Assign, Field, Members, Shown, Value, Visit};
use crate::Violations;
use crate::query::Xml;
use crate::shape::{MemberShape, ValueShape};

/// Reads a message from a JSON object.
pub(crate) fn read_object<'de, M: Members, D: Deserializer<'de>>(
    deserializer: D,
    violations: &mut Violations,
) -> Result<M, D::Error> {
    deserializer.deserialize_map(Object { violations, marker: PhantomData })
}

/// Writes a message as a JSON object.
pub(crate) fn write_object<M: Members, S: Serializer>(
    message: &M,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut writer = Writer(serializer.serialize_map(None)?);
    message.visit(&mut writer)?;
    writer.0.end()
}

/// Writes a message as the elements of its members.
pub(crate) fn write_elements<M: Members>(message: &M, xml: &mut Xml) {
    let Ok(()) = message.visit(&mut ElementWriter(xml));
}

/// Notes every violation in a message.
pub(crate) fn validate<M: Members>(message: &M, violations: &mut Violations) {
    let Ok(()) = message.visit(&mut Checker(violations));
}

/// Brings a message from protobuf to the form that JSON gives: an enumeration's zero is absence.
pub(crate) fn normalise<M: Members>(message: &mut M) {
    for index in 0..M::shape().members.len() {
        let Ok(()) = message.assign(index, Normaliser);
    }
}

/// Shows the members that are set.
pub(crate) fn debug_object<M: Members>(message: &M, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut shower = Shower(f.debug_struct(M::shape().name));
    let Ok(()) = message.visit(&mut shower);
    shower.0.finish()
}

impl<M: Members> Value for M {
    fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        _: &'static ValueShape,
        violations: &mut Violations,
    ) -> Result<Self, D::Error> {
        read_object(deserializer, violations)
    }

    fn write<S: Serializer>(&self, _: &ValueShape, serializer: S) -> Result<S::Ok, S::Error> {
        write_object(self, serializer)
    }

    fn write_xml(&self, _: &ValueShape, xml: &mut Xml) {
        write_elements(self, xml);
    }

    fn check(&self, _: &ValueShape, violations: &mut Violations) {
        validate(self, violations);
    }

    fn show(&self, _: &ValueShape, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_object(self, f)
    }

    fn normalise(&mut self, _: &ValueShape) -> bool {
        normalise(self);
        true
    }
}

struct Writer<S>(S);

impl<S: SerializeMap> Visit for Writer<S> {
    type Error = S::Error;

    fn member<F: Field>(&mut self, shape: &'static MemberShape, field: &F) -> Result<(), S::Error> {
        let empty = if shape.emit_empty { field.empty() } else { None };
        match field.get().or(empty) {
            Some(value) => self.0.serialize_entry(shape.name, &Written(value, &shape.value)),
            None => Ok(()),
        }
    }
}

struct ElementWriter<'a>(&'a mut Xml);

impl Visit for ElementWriter<'_> {
    type Error = Infallible;

    fn member<F: Field>(
        &mut self,
        shape: &'static MemberShape,
        field: &F,
    ) -> Result<(), Infallible> {
        let empty = if shape.emit_empty { field.empty() } else { None };
        if let Some(value) = field.get().or(empty) {
            self.0.element(shape.name, |xml| value.write_xml(&shape.value, xml));
        }
        Ok(())
    }
}

struct Checker<'a>(&'a mut Violations);

impl Visit for Checker<'_> {
    type Error = Infallible;

    fn member<F: Field>(
        &mut self,
        shape: &'static MemberShape,
        field: &F,
    ) -> Result<(), Infallible> {
        self.0.enter(shape.path);
        match field.get() {
            Some(value) => value.check(&shape.value, self.0),
            None if shape.required => self.0.missing(),
            None => {}
        }
        self.0.leave();
        Ok(())
    }
}

struct Shower<'a, 'b>(fmt::DebugStruct<'a, 'b>);

impl Visit for Shower<'_, '_> {
    type Error = Infallible;

    fn member<F: Field>(
        &mut self,
        shape: &'static MemberShape,
        field: &F,
    ) -> Result<(), Infallible> {
        if let Some(value) = field.get() {
            self.0.field(shape.name, &Shown(value, &shape.value));
        }
        Ok(())
    }
}

struct Normaliser;

impl Assign for Normaliser {
    type Error = Infallible;

    fn member<F: Field>(
        self,
        shape: &'static MemberShape,
        field: &mut F,
    ) -> Result<(), Infallible> {
        field.normalise(&shape.value);
        Ok(())
    }

    fn unknown(self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Reads an object member by member.
struct Object<'a, M> {
    violations: &'a mut Violations,
    marker: PhantomData<M>,
}

impl<'de, M: Members> Visitor<'de> for Object<'_, M> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
        let members = M::shape().members;
        let mut message = M::default();
        let mut seen = 0_u64;
        while let Some(index) = map.next_key_seed(Key(members))? {
            let bit = if index < members.len() { 1 << index } else { 0 };
            if seen & bit != 0 {
                self.violations.enter(members[index].path);
                return Err(self.violations.fail("Duplicate member"));
            }
            seen |= bit;
            let reader = Reader { map: &mut map, violations: self.violations, marker: PhantomData };
            message.assign(index, reader)?;
        }
        Ok(message)
    }
}

/// The index of a member by its name; past the end for an unknown one.
struct Key(&'static [MemberShape]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<usize, E> {
        let index = self.0.iter().position(|member| member.name == name);
        Ok(index.unwrap_or(self.0.len()))
    }
}

/// Reads the value of the member whose name came last.
struct Reader<'a, 'de, A> {
    map: &'a mut A,
    violations: &'a mut Violations,
    marker: PhantomData<&'de ()>,
}

impl<'de, A: MapAccess<'de>> Assign for Reader<'_, 'de, A> {
    type Error = A::Error;

    fn member<F: Field>(self, shape: &'static MemberShape, field: &mut F) -> Result<(), A::Error> {
        // Left only on success: a failure is reported with the place where it happened.
        self.violations.enter(shape.path);
        let value = Nullable {
            shape: &shape.value,
            violations: &mut *self.violations,
            marker: PhantomData,
        };
        field.set(self.map.next_value_seed(value)?);
        self.violations.leave();
        Ok(())
    }

    fn unknown(self) -> Result<(), A::Error> {
        self.map.next_value::<IgnoredAny>().map(|_| ())
    }
}

/// Reads a value, or `null` as its absence.
struct Nullable<'a, V> {
    shape: &'static ValueShape,
    violations: &'a mut Violations,
    marker: PhantomData<V>,
}

impl<'de, V: Value> DeserializeSeed<'de> for Nullable<'_, V> {
    type Value = Option<V>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<V>, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, V: Value> Visitor<'de> for Nullable<'_, V> {
    type Value = Option<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: de::Error>(self) -> Result<Option<V>, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<V>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<V>, D::Error> {
        V::read(deserializer, self.shape, self.violations).map(Some)
    }
}
