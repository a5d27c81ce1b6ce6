//! Tokens of issuers: JSON Web Tokens (RFC 7519), signed in the compact form (RFC 7515), by the
//! advice of RFC 8725.
//!
//! A token is looked at in two steps: [`Token::read`] tells whose it says it is, [`Token::verify`]
//! whether that is so. Nothing else of it may be believed in between.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_crypto::jose::JwsAlgorithm;
use keystead_types::{Issuer, UnixMillis};

use super::json::{Json, Members};
use super::jwks::KeySet;

/// Characters of a token at most.
const MAX_TOKEN: usize = 20_000;
/// How far an issuer's clock may be ahead, in seconds.
const LEEWAY: f64 = 60.0;
/// Bytes of `sub` at most (OpenID Connect Core, section 2).
const MAX_SUBJECT: usize = 255;
/// Keys that are tried for a token that does not say which one signed it.
const MAX_TRIED: usize = 4;

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error(
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
    )]
    Malformed,
    #[error("The token's alg is none of RS256, RS384, RS512, PS256, ES256 and ES384.")]
    Algorithm,
    #[error("The token has critical header parameters, of which none are known.")]
    Critical,
    #[error("The token's iss is no issuer's URL.")]
    Issuer,
    /// The issuer has no such key, as far as this node knows.
    #[error("The token was signed with a key that its issuer does not have.")]
    UnknownKey,
    #[error("The token's signature is not valid.")]
    Signature,
    #[error("Missing a required claim: {0}")]
    Missing(&'static str),
    #[error("The token has expired.")]
    Expired,
    #[error("The token is not valid yet.")]
    TooEarly,
}

/// A token that somebody sent. Who made it is not known.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    algorithm: JwsAlgorithm,
    key_id: Option<String>,
    /// Header and payload as they were sent.
    signed: &'a [u8],
    signature: Vec<u8>,
    issuer: Issuer,
    claims: Members,
}

/// What an issuer says of somebody.
#[derive(Debug, PartialEq)]
pub(crate) struct Claims {
    pub(crate) issuer: Issuer,
    pub(crate) subject: String,
    /// For whom the token is; at least one.
    pub(crate) audiences: Vec<String>,
    /// To whom it was given.
    pub(crate) authorised_party: Option<String>,
    all: Members,
}

impl<'a> Token<'a> {
    /// Reads a token, strictly: there is one way to write each.
    ///
    /// # Errors
    /// Everything that is wrong with its form.
    pub(crate) fn read(text: &'a str) -> Result<Self, Refused> {
        if text.len() > MAX_TOKEN {
            return Err(Refused::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Refused::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Malformed);
        let object = |part| Json::object(&decode(part)?).ok_or(Refused::Malformed);
        let (header, claims) = (object(header)?, object(payload)?);
        let name = header.get("alg").and_then(Json::text).ok_or(Refused::Algorithm)?;
        let algorithm = JwsAlgorithm::from_name(name).ok_or(Refused::Algorithm)?;
        if header.contains_key("crit") {
            return Err(Refused::Critical);
        }
        let key_id = match header.get("kid") {
            None => None,
            Some(id) => Some(id.text().ok_or(Refused::Malformed)?.to_owned()),
        };
        let issuer = claims.get("iss").ok_or(Refused::Missing("iss"))?.text();
        let issuer = issuer.and_then(|url| Issuer::from_url(url).ok()).ok_or(Refused::Issuer)?;
        let (signed, signature) = (signed.as_bytes(), decode(signature)?);
        Ok(Self { algorithm, key_id, signed, signature, issuer, claims })
    }

    /// Whose it says it is.
    pub(crate) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// What the issuer says, if it was the issuer who made the token and its time is not over.
    /// `keys` are those of [`Token::issuer`]; the token must have expired by neither of the times.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn verify(
        self,
        keys: &KeySet,
        node: UnixMillis,
        latest: UnixMillis,
    ) -> Result<Claims, Refused> {
        let id = self.key_id.as_deref();
        let mut tried = keys.candidates(self.algorithm, id).take(MAX_TRIED);
        let mut known = id.is_some_and(|id| keys.has(id));
        let genuine = tried.any(|key| {
            known = true;
            key.verifies(self.algorithm, self.signed, &self.signature)
        });
        if !genuine {
            return Err(if known { Refused::Signature } else { Refused::UnknownKey });
        }
        self.check_times(node, latest)?;
        let Self { issuer, claims: all, .. } = self;
        let text = |name: &'static str| match all.get(name) {
            None => Ok(None),
            Some(value) => value.text().map(Some).ok_or(Refused::Malformed),
        };
        let subject = text("sub")?.ok_or(Refused::Missing("sub"))?.to_owned();
        let audiences = all.get("aud").ok_or(Refused::Missing("aud"))?;
        let audiences = audiences.texts().ok_or(Refused::Malformed)?;
        let audiences: Vec<String> = audiences.into_iter().map(str::to_owned).collect();
        let authorised_party = text("azp")?.map(str::to_owned);
        if !(1..=MAX_SUBJECT).contains(&subject.len()) || audiences.is_empty() {
            return Err(Refused::Malformed);
        }
        Ok(Claims { issuer, subject, audiences, authorised_party, all })
    }

    fn check_times(&self, node: UnixMillis, latest: UnixMillis) -> Result<(), Refused> {
        let time = |name: &'static str| match self.claims.get(name) {
            None => Ok(None),
            Some(Json::Number(seconds)) => Ok(Some(*seconds)),
            Some(_) => Err(Refused::Malformed),
        };
        if time("exp")?.ok_or(Refused::Missing("exp"))? <= seconds(latest) {
            return Err(Refused::Expired);
        }
        for name in ["nbf", "iat"] {
            if time(name)?.is_some_and(|from| from > seconds(node) + LEEWAY) {
                return Err(Refused::TooEarly);
            }
        }
        Ok(())
    }
}

/// Tags and source identity that an issuer gives a session.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionClaims {
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) transitive: Vec<String>,
    pub(crate) source_identity: Option<String>,
}

impl Claims {
    /// The audience that a provider takes the token for: the party that it was given to, where it
    /// names one, and else the first of its audiences that is a client of the provider.
    pub(crate) fn audience(&self, client_ids: &[String]) -> Option<&str> {
        let known = |audience: &&String| client_ids.contains(audience);
        let audience = match &self.authorised_party {
            Some(party) => Some(party).filter(known),
            None => self.audiences.iter().find(known),
        };
        audience.map(String::as_str)
    }

    /// What conditions may ask, by their keys, for an audience of [`Claims::audience`].
    ///
    /// AWS has `aud`, `oaud`, `sub` and `amr`. All other claims that are one text are added here,
    /// under names that no two claims and no key of another issuer can have.
    pub(crate) fn conditions(&self, audience: &str) -> Vec<(String, String)> {
        let key = |name: &str| format!("{}:{name}", self.issuer);
        let mut list = vec![(key("aud"), audience.to_owned()), (key("sub"), self.subject.clone())];
        if self.authorised_party.is_some() {
            list.extend(self.audiences.iter().map(|audience| (key("oaud"), audience.clone())));
        }
        let references = self.all.get("amr").and_then(Json::texts).unwrap_or_default();
        list.extend(references.into_iter().map(|value| (key("amr"), value.to_owned())));
        let plain =
            |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._/".contains(&b));
        let taken = |name: &str| {
            let same = |other: &String| other != name && other.eq_ignore_ascii_case(name);
            let ours = ["aud", "oaud", "sub", "amr"];
            ours.iter().any(|own| own.eq_ignore_ascii_case(name)) || self.all.keys().any(same)
        };
        for (name, value) in self.all.iter().filter(|(name, _)| plain(name) && !taken(name)) {
            list.extend(value.text().map(|text| (key(name), text.to_owned())));
        }
        list
    }

    /// What the claims that AWS has defined say of the session; a value of another shape than
    /// theirs is refused.
    pub(crate) fn session(&self) -> Result<SessionClaims, Refused> {
        let mut session = SessionClaims::default();
        if let Some(value) = self.all.get("https://aws.amazon.com/source_identity") {
            session.source_identity = Some(value.text().ok_or(Refused::Malformed)?.to_owned());
        }
        let tags = match self.all.get("https://aws.amazon.com/tags") {
            None => return Ok(session),
            Some(Json::Object(tags)) => tags,
            Some(_) => return Err(Refused::Malformed),
        };
        if let Some(keys) = tags.get("transitive_tag_keys") {
            let keys = keys.texts().ok_or(Refused::Malformed)?;
            session.transitive = keys.into_iter().map(str::to_owned).collect();
        }
        let principal = match tags.get("principal_tags") {
            None => return Ok(session),
            Some(Json::Object(principal)) => principal,
            Some(_) => return Err(Refused::Malformed),
        };
        for (key, value) in principal {
            // A tag has one value, which is written as a list.
            let values = value.texts().ok_or(Refused::Malformed)?;
            let [value] = values[..] else { return Err(Refused::Malformed) };
            session.tags.push((key.clone(), value.to_owned()));
        }
        Ok(session)
    }
}

#[expect(clippy::cast_precision_loss, reason = "times are far below 2^53")]
fn seconds(time: UnixMillis) -> f64 {
    time.0 as f64 / 1000.0
}
