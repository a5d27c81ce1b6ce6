//! Form bodies (`application/x-www-form-urlencoded`), read strictly.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use percent_encoding::percent_decode;
use thiserror::Error;

/// Longest body, in bytes; the largest legal one holds a policy document of 128 KiB, encoded.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Most parameters; a list of 50 tags takes 100.
const MAX_PARAMS: usize = 1000;
/// Longest name of a parameter, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// How much of a name an error repeats, in characters.
const MAX_SHOWN: usize = 64;

/// Why a body is no form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormError {
    /// The body, a name or their number is over the limit.
    #[error("The request's form is too large.")]
    TooLarge,
    /// A parameter without `=`, or without a name.
    #[error("The request's form has a parameter that is not name=value.")]
    NotAPair,
    /// A `%` that is not followed by two hexadecimal digits, a byte that must be encoded, or text
    /// that is not UTF-8.
    #[error("The request's form is not URL-encoded UTF-8.")]
    Encoding,
    /// A parameter that comes twice.
    #[error("The request's form has the parameter '{0}' more than once.")]
    Repeated(String),
}

/// The parameters of a request, by name.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// A parameter's value, decoded.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All parameters, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Names only: a value may be a token.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads a form body. An empty one has no parameters.
///
/// # Errors
/// Anything that two readers might understand differently, and anything over the limits.
pub fn parse(body: &[u8]) -> Result<Params, FormError> {
    if body.len() > MAX_BODY_BYTES {
        return Err(FormError::TooLarge);
    }
    let mut params = BTreeMap::new();
    if body.is_empty() {
        return Ok(Params(params));
    }
    for pair in body.split(|byte| *byte == b'&') {
        if params.len() == MAX_PARAMS {
            return Err(FormError::TooLarge);
        }
        let equals = pair.iter().position(|byte| *byte == b'=').ok_or(FormError::NotAPair)?;
        let (name, value) = (&pair[..equals], &pair[equals + 1..]);
        let name = decode(name)?;
        match name.len() {
            0 => return Err(FormError::NotAPair),
            1..=MAX_NAME_BYTES => {}
            _ => return Err(FormError::TooLarge),
        }
        match params.entry(name) {
            Entry::Vacant(slot) => slot.insert(decode(value)?),
            Entry::Occupied(slot) => {
                return Err(FormError::Repeated(slot.key().chars().take(MAX_SHOWN).collect()));
            }
        };
    }
    Ok(Params(params))
}

fn decode(part: &[u8]) -> Result<String, FormError> {
    let mut rest = part.iter();
    while let Some(byte) = rest.next() {
        let well_formed = match byte {
            b'%' => {
                let mut digit = || rest.next().is_some_and(u8::is_ascii_hexdigit);
                digit() && digit()
            }
            b'=' => false,
            other => other.is_ascii_graphic(),
        };
        if !well_formed {
            return Err(FormError::Encoding);
        }
    }
    let spaced: Vec<u8> =
        part.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let decoded = percent_decode(&spaced).decode_utf8().map_err(|_| FormError::Encoding)?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send() {
        let params =
            parse(b"Version=2011-06-15&Action=GetCallerIdentity&A.1=a+b%2Bc%C3%A9&E=").unwrap();
        let pairs: Vec<_> = params.iter().collect();
        assert_eq!(
            pairs,
            [
                ("A.1", "a b+cé"),
                ("Action", "GetCallerIdentity"),
                ("E", ""),
                ("Version", "2011-06-15")
            ]
        );
        assert_eq!(params.get("action"), None);
        assert_eq!(parse(b"").unwrap(), Params::default());
    }

    #[test]
    fn refuses_what_is_ambiguous_or_damaged() {
        assert_eq!(parse(b"A=1&B=2&%41=3"), Err(FormError::Repeated("A".into())));
        for body in [&b"A"[..], b"=1", b"A=1&", b"&A=1", b"A=1&&B=2"] {
            assert_eq!(parse(body), Err(FormError::NotAPair), "{body:?}");
        }
        for body in
            [&b"A=%"[..], b"A=%4", b"A=%4g", b"A=%ff", b"A=\xc3\xa9", b"A=a b", b"A=1=2", b"A=\0"]
        {
            assert_eq!(parse(body), Err(FormError::Encoding), "{body:?}");
        }
    }

    #[test]
    fn is_bounded() {
        let many = |count: usize| {
            (0..count).map(|i| format!("P{i}=")).collect::<Vec<_>>().join("&").into_bytes()
        };
        assert_eq!(parse(&many(MAX_PARAMS)).unwrap().iter().count(), MAX_PARAMS);
        assert_eq!(parse(&many(MAX_PARAMS + 1)), Err(FormError::TooLarge));
        let named = |length: usize| parse(format!("{}=", "n".repeat(length)).as_bytes());
        assert!(named(MAX_NAME_BYTES).is_ok());
        assert_eq!(named(MAX_NAME_BYTES + 1), Err(FormError::TooLarge));
        assert_eq!(parse(&vec![b'A'; MAX_BODY_BYTES + 1]), Err(FormError::TooLarge));
    }

    #[test]
    fn debug_shows_no_values() {
        let params = parse(b"Token=hidden").unwrap();
        assert_eq!(format!("{params:?}"), r#"{"Token"}"#);
    }
}
