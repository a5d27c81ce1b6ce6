//! JSON as it was written: in an object, elements keep their order and may come twice, so that
//! the parser can refuse them with their place. `serde_json` bounds the nesting.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::{At, PolicyError, Reason};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// As text, since conditions compare it as text.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(crate) fn parse(text: &str) -> Result<Self, PolicyError> {
        serde_json::from_str(text).map_err(|error| At::Top.error(Reason::Json(error.to_string())))
    }

    pub(crate) fn text(&self, at: &At<'_>) -> Result<&str, PolicyError> {
        match self {
            Self::Text(text) => Ok(text),
            _ => at.refuse(Reason::Type("a string")),
        }
    }

    /// An object's elements, none of them twice.
    pub(crate) fn object(&self, at: &At<'_>) -> Result<&[(String, Self)], PolicyError> {
        let Self::Object(fields) = self else {
            return at.refuse(Reason::Type("an object"));
        };
        let mut names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => at.field(pair[0]).refuse(Reason::Duplicate),
            None => Ok(fields),
        }
    }

    /// One value or a list of them, with the place of each.
    pub(crate) fn one_or_many<T>(
        &self,
        at: &At<'_>,
        read: impl Fn(&Self, &At<'_>) -> Result<T, PolicyError>,
    ) -> Result<Vec<T>, PolicyError> {
        match self {
            Self::List(items) if items.is_empty() => at.refuse(Reason::Empty),
            Self::List(items) => {
                let read = |(index, item)| read(item, &at.item(index));
                items.iter().enumerate().map(read).collect()
            }
            one => Ok(vec![read(one, at)?]),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsWritten)
    }
}

struct AsWritten;

impl<'de> Visitor<'de> for AsWritten {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(field) = fields.next_entry()? {
            object.push(field);
        }
        Ok(Json::Object(object))
    }
}
