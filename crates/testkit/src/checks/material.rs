//! Key material at the word of another program, so that tests in other languages can compare what
//! this crate's makers of MACs and signatures do with what theirs do, also with keys made outside.
//!
//! One JSON object per line comes in and one goes out. All bytes are in hex.
//!
//! | member | what it is |
//! |---|---|
//! | `spec` | the key spec |
//! | `imported` or `public` | the key: in the form in which it is imported, or its public half |
//! | `do` | `mac`, `verify_mac`, `sign`, `verify` or `public_key` |
//! | `algorithm`, `message`, `message_type` | as in the API |
//! | `proof` | the MAC or the signature that is verified |
//!
//! The answer has `made` with bytes, `valid` with a truth value, or `refused` with a reason.

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use keystead_crypto::OperationError;
use keystead_crypto::material::KeyMaterial;
use keystead_crypto::public::PublicKey;
use keystead_types::{KeySpec, MessageType};
use serde_json::{Value, json};

const KEPT_KEYS: usize = 8;

/// Answers what comes in until nothing does any more.
///
/// # Errors
/// A line is not of this form; a refusal by the crate is an answer.
pub fn run() -> Result<()> {
    let mut output = io::stdout().lock();
    let mut keys = Keys::default();
    for line in io::stdin().lock().lines() {
        let asked = serde_json::from_str(&line?)?;
        let answer = match keys.of(&asked)? {
            Ok(key) => key.answer(&asked)?,
            Err(reason) => json!({ "refused": reason }),
        };
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

/// The last few keys, because to parse one takes longer than to use it.
#[derive(Default)]
struct Keys(VecDeque<(String, Key)>);

enum Key {
    Material(Box<KeyMaterial>),
    Public(Box<PublicKey>),
}

impl Keys {
    fn of(&mut self, asked: &Value) -> Result<Result<&Key, String>> {
        let name = format!("{} {} {}", asked["spec"], asked["imported"], asked["public"]);
        if let Some(at) = self.0.iter().position(|(known, _)| *known == name) {
            return Ok(Ok(&self.0[at].1));
        }
        match Key::parse(asked)? {
            Ok(key) => {
                self.0.push_front((name, key));
                self.0.truncate(KEPT_KEYS);
                Ok(Ok(&self.0[0].1))
            }
            Err(reason) => Ok(Err(reason)),
        }
    }
}

impl Key {
    fn parse(asked: &Value) -> Result<Result<Self, String>> {
        let spec: KeySpec = name(asked, "spec")?;
        if asked.get("public").is_some() {
            let parsed = PublicKey::parse(spec, &bytes(asked, "public")?);
            return Ok(parsed.map(|key| Self::Public(key.into())).map_err(|e| e.to_string()));
        }
        let imported = KeyMaterial::import(spec, &bytes(asked, "imported")?);
        Ok(imported.map(|key| Self::Material(key.into())).map_err(|e| e.to_string()))
    }

    fn answer(&self, asked: &Value) -> Result<Value> {
        let done = match text(asked, "do")? {
            "public_key" => Ok(made(self.public().context("it has no public key")?.der())),
            "mac" => self
                .material()?
                .mac(name(asked, "algorithm")?, &bytes(asked, "message")?)
                .map(|mac| made(&mac)),
            "verify_mac" => valid(self.material()?.verify_mac(
                name(asked, "algorithm")?,
                &bytes(asked, "message")?,
                &bytes(asked, "proof")?,
            )),
            "sign" => self
                .material()?
                .sign(name(asked, "algorithm")?, message_type(asked)?, &bytes(asked, "message")?)
                .map(|signature| made(&signature)),
            "verify" => valid(self.verify(asked)?),
            other => bail!("there is no `{other}`"),
        };
        Ok(done.unwrap_or_else(|error| json!({ "refused": error.to_string() })))
    }

    fn material(&self) -> Result<&KeyMaterial> {
        match self {
            Self::Material(material) => Ok(material),
            Self::Public(_) => bail!("a public key cannot do this"),
        }
    }

    fn public(&self) -> Option<&PublicKey> {
        match self {
            Self::Material(material) => material.public_key(),
            Self::Public(public) => Some(public),
        }
    }

    fn verify(&self, asked: &Value) -> Result<Result<(), OperationError>> {
        let (algorithm, message_type) = (name(asked, "algorithm")?, message_type(asked)?);
        let (message, signature) = (bytes(asked, "message")?, bytes(asked, "proof")?);
        Ok(match self {
            Self::Material(key) => key.verify(algorithm, message_type, &message, &signature),
            Self::Public(key) => key.verify(algorithm, message_type, &message, &signature),
        })
    }
}

fn made(bytes: &[u8]) -> Value {
    json!({ "made": hex::encode(bytes) })
}

/// Only what is said of the MAC or the signature itself is a verdict.
fn valid(verdict: Result<(), OperationError>) -> Result<Value, OperationError> {
    match verdict {
        Ok(()) => Ok(json!({ "valid": true })),
        Err(OperationError::InvalidMac | OperationError::InvalidSignature) => {
            Ok(json!({ "valid": false }))
        }
        Err(error) => Err(error),
    }
}

fn message_type(asked: &Value) -> Result<MessageType> {
    name(asked, "message_type")
}

fn name<T: FromStr>(asked: &Value, member: &str) -> Result<T> {
    let text = text(asked, member)?;
    text.parse().ok().with_context(|| format!("`{text}` is no {member}"))
}

fn bytes(asked: &Value, member: &str) -> Result<Vec<u8>> {
    hex::decode(text(asked, member)?).with_context(|| format!("`{member}` is not in hex"))
}

fn text<'a>(asked: &'a Value, member: &str) -> Result<&'a str> {
    asked[member].as_str().with_context(|| format!("there is no text `{member}`"))
}
