//! The keys of an issuer: a JSON Web Key Set (RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_crypto::jose::{JwsAlgorithm, JwsKey};

use super::json::{Json, Members};

/// Keys that a set may have.
const MAX_KEYS: usize = 100;

/// The keys of an issuer that signatures can be verified with.
#[derive(Debug, Default)]
pub(crate) struct KeySet(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    id: Option<String>,
    /// The one algorithm that the key is for, where the issuer says so.
    algorithm: Option<JwsAlgorithm>,
    key: JwsKey,
}

impl KeySet {
    /// Reads a set. Keys of kinds or for uses that are not known here are passed over, as RFC 7517
    /// has it; what is no set, or one of too many keys, is `None`.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let set = Json::object(text)?;
        let Json::List(keys) = set.get("keys")? else { return None };
        if keys.len() > MAX_KEYS {
            return None;
        }
        let entry = |key: &Json| match key {
            Json::Object(key) => entry(key),
            _ => None,
        };
        Some(Self(keys.iter().filter_map(entry).collect()))
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is a key with this id, for whatever algorithm.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|entry| entry.id.as_deref() == Some(id))
    }

    /// The keys that a signature by this algorithm may be of: those of the id or, where the token
    /// names none, all.
    pub(super) fn candidates(
        &self,
        algorithm: JwsAlgorithm,
        id: Option<&str>,
    ) -> impl Iterator<Item = &JwsKey> {
        let may_be = move |entry: &&Entry| {
            id.is_none_or(|id| entry.id.as_deref() == Some(id))
                && entry.algorithm.is_none_or(|own| own == algorithm)
                && entry.key.fits(algorithm)
        };
        self.0.iter().filter(may_be).map(|entry| &entry.key)
    }
}

fn entry(key: &Members) -> Option<Entry> {
    let text = |name: &str| key.get(name).map(Json::text);
    let algorithm = match text("alg") {
        None => None,
        Some(name) => Some(JwsAlgorithm::from_name(name?)?),
    };
    if text("use").is_some_and(|usage| usage != Some("sig")) {
        return None;
    }
    let verifies = |operations: &Json| {
        operations.texts().is_some_and(|operations| operations.contains(&"verify"))
    };
    if !key.get("key_ops").is_none_or(verifies) {
        return None;
    }
    let number = |name: &str| URL_SAFE_NO_PAD.decode(text(name)??).ok();
    let public = match text("kty")?? {
        "RSA" => JwsKey::rsa(&number("n")?, &number("e")?)?,
        "EC" => JwsKey::ec(text("crv")??, &number("x")?, &number("y")?)?,
        _ => return None,
    };
    let id = match text("kid") {
        None => None,
        Some(id) => Some(id?.to_owned()),
    };
    Some(Entry { id, algorithm, key: public })
}
