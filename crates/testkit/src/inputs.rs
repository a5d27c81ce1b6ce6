//! Inputs for every operation of AWS KMS, made from AWS's own description of them.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use serde_json::{Map, Value, json};

const DESCRIPTIONS: &str = include_str!("../../api/tests/data/operations.json");

/// Every operation with its description.
pub struct Catalogue {
    operations: Map<String, Value>,
}

/// Things that exist at the service, so that inputs get past the first lookup.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Keys that stay usable.
    pub keys: Vec<String>,
    /// Keys that may be disabled and deleted.
    pub victims: Vec<String>,
    /// Aliases of the keys.
    pub aliases: Vec<String>,
    /// Ciphertexts under the keys, in base64.
    pub ciphertexts: Vec<String>,
}

impl Catalogue {
    /// All operations.
    ///
    /// # Errors
    /// Their description is no JSON object.
    pub fn new() -> Result<Self> {
        let operations = serde_json::from_str(DESCRIPTIONS).context("operations.json")?;
        Ok(Self { operations })
    }

    /// The operations' names.
    pub fn names(&self) -> Vec<&str> {
        self.operations.keys().map(String::as_str).collect()
    }

    /// An input that keeps to the operation's description, though the service need not grant it.
    pub fn input(&self, rng: &mut Rng, operation: &str, known: &Known) -> Value {
        let maker = Maker { known, destructive: is_destructive(operation) };
        maker.structure(rng, &self.operations[operation])
    }
}

fn is_destructive(operation: &str) -> bool {
    ["DisableKey", "ScheduleKeyDeletion", "DeleteImportedKeyMaterial"].contains(&operation)
}

struct Maker<'a> {
    known: &'a Known,
    destructive: bool,
}

impl Maker<'_> {
    fn structure(&self, rng: &mut Rng, shape: &Value) -> Value {
        let required = |name: &str| {
            shape["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name))
        };
        let Some(members) = shape["members"].as_object() else { return json!({}) };
        let mut object = Map::new();
        for (name, member) in members {
            if required(name) || rng.u8(..4) == 0 {
                object.insert(name.clone(), self.value(rng, name, member));
            }
        }
        Value::Object(object)
    }

    fn value(&self, rng: &mut Rng, name: &str, shape: &Value) -> Value {
        match shape["type"].as_str().unwrap_or_default() {
            "blob" => Value::String(self.blob(rng, name, shape)),
            "boolean" => rng.bool().into(),
            "integer" => number(rng, shape).into(),
            "timestamp" => (1_800_000_000 + rng.u32(..1_000_000)).into(),
            "list" => {
                let items = 0..rng.usize(1..4);
                items.map(|_| self.value(rng, name, &shape["item"])).collect()
            }
            "map" => {
                let pairs = 0..rng.usize(..4);
                pairs.map(|_| (text(rng, 1, 12), Value::String(text(rng, 1, 12)))).collect()
            }
            "structure" => self.structure(rng, shape),
            _ => Value::String(self.string(rng, name, shape)),
        }
    }

    fn string(&self, rng: &mut Rng, name: &str, shape: &Value) -> String {
        if let Some(texts) = shape["enum"].as_array() {
            let mut choose = || rng.choice(texts).and_then(Value::as_str).unwrap_or_default();
            let mut text = choose();
            // RSA keys take long to make, so they are made seldom.
            if name.ends_with("Spec") && text.starts_with("RSA_") {
                text = choose();
            }
            return text.to_owned();
        }
        let known = match name {
            _ if self.destructive && name == "KeyId" => rng.choice(&self.known.victims),
            "TargetKeyId" => rng.choice(&self.known.keys),
            name if name.ends_with("KeyId") && rng.u8(..8) == 0 => rng.choice(&self.known.aliases),
            name if name.ends_with("KeyId") => rng.choice(&self.known.keys),
            _ => None,
        };
        match (known, name) {
            (Some(known), _) => known.clone(),
            (None, "AliasName") => format!("alias/{}", text(rng, 8, 16)),
            (None, "PolicyName") => "default".into(),
            (None, "ReplicaRegion" | "PrimaryRegion") => "eu-west-1".into(),
            (None, "Policy") => r#"{"Version":"2012-10-17","Statement":[]}"#.into(),
            _ => {
                let (min, max) = bounds(shape);
                text(rng, min, max.min(min + 40))
            }
        }
    }

    fn blob(&self, rng: &mut Rng, name: &str, shape: &Value) -> String {
        if name == "CiphertextBlob"
            && let Some(ciphertext) = rng.choice(&self.known.ciphertexts)
        {
            return ciphertext.clone();
        }
        let (min, max) = bounds(shape);
        let length = rng.usize(min..=max.min(min + 64));
        STANDARD.encode((0..length).map(|_| rng.u8(..)).collect::<Vec<u8>>())
    }
}

/// The least and the greatest length that a description allows.
fn bounds(shape: &Value) -> (usize, usize) {
    let bound = |name: &str| shape[name].as_u64().and_then(|bound| usize::try_from(bound).ok());
    let min = bound("min").unwrap_or(0);
    (min, bound("max").unwrap_or(4096).max(min))
}

fn number(rng: &mut Rng, shape: &Value) -> i64 {
    let bound = |name: &str, default| shape[name].as_i64().unwrap_or(default);
    rng.i64(bound("min", 0)..=bound("max", 1000))
}

fn text(rng: &mut Rng, min: usize, max: usize) -> String {
    (0..rng.usize(min..=max)).map(|_| rng.alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_have_their_required_members_and_follow_the_seed() {
        let catalogue = Catalogue::new().unwrap();
        let known = Known { keys: vec!["the key".into()], ..Known::default() };
        for name in catalogue.names() {
            let input = catalogue.input(&mut Rng::with_seed(7), name, &known);
            let again = catalogue.input(&mut Rng::with_seed(7), name, &known);
            assert_eq!(input, again);
            for member in catalogue.operations[name]["required"].as_array().unwrap() {
                assert!(input.get(member.as_str().unwrap()).is_some(), "{name} {member}");
            }
        }
        let encrypt = catalogue.input(&mut Rng::with_seed(1), "UpdateAlias", &known);
        assert_eq!(encrypt["TargetKeyId"], "the key");
    }
}
