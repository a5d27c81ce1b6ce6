//! Parameters as the tree that their dots make of them, to be read like JSON: `Tags.member.1.Key`
//! is the member `Key` of the first item of the list `Tags`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Params;

/// Parameters with the same beginning.
#[derive(Default)]
pub(super) struct Node<'a> {
    /// The value of the parameter that ends here.
    text: Option<&'a str>,
    /// What follows in the names of the others, with their values.
    below: Vec<(&'a str, &'a str)>,
}

impl<'a> Node<'a> {
    /// All parameters of a request.
    pub(super) fn root(params: &'a Params) -> Self {
        Self { text: None, below: params.iter().collect() }
    }

    /// One step down; only what is read is ever taken apart.
    fn children(self) -> BTreeMap<&'a str, Node<'a>> {
        let mut children: BTreeMap<_, Node<'a>> = BTreeMap::new();
        for (name, value) in self.below {
            match name.split_once('.') {
                None => children.entry(name).or_default().text = Some(value),
                Some((first, rest)) => {
                    children.entry(first).or_default().below.push((rest, value));
                }
            }
        }
        children
    }

    /// The text of what has no parts.
    fn leaf(self) -> Result<&'a str, Malformed> {
        match self.text {
            Some(text) if self.below.is_empty() => Ok(text),
            _ => Err(Malformed(None)),
        }
    }

    /// The items of a list. An empty one is written as a parameter without a value.
    fn items(self) -> Result<Vec<Node<'a>>, Malformed> {
        match self.text {
            Some("") if self.below.is_empty() => return Ok(Vec::new()),
            Some(_) => return Err(Malformed(None)),
            None => {}
        }
        let mut children = self.children();
        let members = children.remove("member").filter(|_| children.is_empty());
        let mut items = BTreeMap::new();
        for (index, item) in members.ok_or(Malformed(Some(NOT_A_LIST)))?.children() {
            items.insert(place(index).ok_or(Malformed(Some(NOT_A_LIST)))?, item);
        }
        // As many as the greatest place says: none is missing.
        match items.keys().next_back() {
            Some(last) if *last == items.len() => Ok(items.into_values().collect()),
            _ => Err(Malformed(Some(NOT_A_LIST))),
        }
    }
}

const NOT_A_LIST: &str = "Lists have the items member.1, member.2 and so on";

/// A place in a list, from 1, in the one way to write it.
fn place(text: &str) -> Option<usize> {
    let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| canonical)
}

/// Parameters that are no such message, and what is wrong if there is more to say than the type.
#[derive(Debug)]
pub(super) struct Malformed(pub(super) Option<&'static str>);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.unwrap_or("unexpected type"))
    }
}

impl std::error::Error for Malformed {}

impl de::Error for Malformed {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(None)
    }
}

impl<'de> IntoDeserializer<'de, Malformed> for Node<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Reads a text as what it is expected to be.
macro_rules! parsed {
    ($($method:ident => $visit:ident,)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
            visitor.$visit(self.leaf()?.parse().map_err(|_| Malformed(None))?)
        })+
    };
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Malformed;

    /// A point in time: the only value that comes in several forms.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        let text = self.leaf()?;
        if let Ok(seconds) = text.parse() {
            return visitor.visit_i64(seconds);
        }
        let date = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Malformed(None))?;
        visitor.visit_i64(date.unix_timestamp())
    }

    parsed! {
        deserialize_bool => visit_bool,
        deserialize_i32 => visit_i32,
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        visitor.visit_borrowed_str(self.leaf()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        self.deserialize_str(visitor)
    }

    /// What is not absent is something.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        visitor.visit_seq(SeqDeserializer::new(self.items()?.into_iter()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        if self.text.is_some() {
            return Err(Malformed(None));
        }
        let members = self.children().into_iter().map(|(name, node)| (Name(name), node));
        visitor.visit_map(MapDeserializer::new(members))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct struct enum identifier
    }
}

/// A step of a name.
struct Name<'a>(&'a str);

impl<'de> IntoDeserializer<'de, Malformed> for Name<'de> {
    type Deserializer = StrDeserializer<'de, Malformed>;

    fn into_deserializer(self) -> Self::Deserializer {
        self.0.into_deserializer()
    }
}
