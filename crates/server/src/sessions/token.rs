//! Session tokens and the credentials that belong to them.
//!
//! A token is base64url of the sealed session (purpose "token", `docs/cryptography.md`). The access
//! key id follows from the session's id and the secret access key from the sealed bytes, so that
//! neither is stored and none fits another token.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keystead_api::{Error, messages};
use keystead_crypto::keyring::{Keyring, Purpose};
use keystead_types::AccessKeyId;
use zeroize::Zeroizing;

use super::{Session, content};
use crate::authenticate::unreadable;

/// The most bytes that session policies and tags take in a token.
pub(crate) const MAX_PACKED_BYTES: usize = 4096;
/// What a session is bound to.
const BINDING: &[u8] = b"session token";
/// The longest token that there is, in characters: an envelope of the packed part and of less than
/// 1,280 bytes besides.
const MAX_TOKEN: usize = (MAX_PACKED_BYTES + 1280) * 4 / 3;

/// What a session is used with.
pub(crate) struct Credentials {
    /// `ASIA…`, of 20 characters.
    pub(crate) access_key_id: AccessKeyId,
    pub(crate) secret: Zeroizing<String>,
    pub(crate) token: String,
}

/// The credentials of a new session.
///
/// # Errors
/// A session that the format has no room for, or a failure of the machinery.
pub(crate) fn seal(keyring: &Keyring, session: &Session) -> Result<Credentials, Error> {
    let content = content::write(session).ok_or_else(messages::internal)?;
    let sealed = keyring.seal_value(Purpose::Token, BINDING, &content);
    let sealed = sealed.map_err(|_| messages::internal())?;
    let token = URL_SAFE_NO_PAD.encode(&sealed);
    if token.len() > MAX_TOKEN {
        return Err(messages::internal());
    }
    let secret = secret(keyring, &sealed)?;
    Ok(Credentials { access_key_id: session.access_key_id(), secret, token })
}

/// The session of a token and its secret access key. Whether it still counts is another question.
///
/// # Errors
/// `None` for what this region did not make; an error where the secret cannot be derived.
pub(crate) fn open(
    keyring: &Keyring,
    token: &str,
) -> Result<Option<(Session, Zeroizing<String>)>, Error> {
    let opened = || {
        let sealed = (token.len() <= MAX_TOKEN).then(|| URL_SAFE_NO_PAD.decode(token).ok())??;
        let content = keyring.open_value(Purpose::Token, BINDING, &sealed).ok()?;
        Some((content::read(&content)?, sealed))
    };
    let Some((session, sealed)) = opened() else { return Ok(None) };
    Ok(Some((session, secret(keyring, &sealed)?)))
}

fn secret(keyring: &Keyring, sealed: &[u8]) -> Result<Zeroizing<String>, Error> {
    let secret = keyring.session_secret(sealed).map_err(|_| unreadable("a session's secret"))?;
    Ok(STANDARD.encode(*secret).into())
}

impl Session {
    /// The access key id of its credentials.
    pub(crate) fn access_key_id(&self) -> AccessKeyId {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let tail = self.id.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
        let id: String = "ASIA".chars().chain(tail).collect();
        id.parse().expect("letters and digits are an access key id")
    }

    /// How many bytes its policies and tags take, of [`MAX_PACKED_BYTES`]; `None` for more than the
    /// format has room for.
    pub(crate) fn packed_bytes(&self) -> Option<usize> {
        content::packed(self).map(|packed| packed.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use keystead_crypto::keyring::RootKey;
    use keystead_types::{AccountId, UnixMillis};

    use super::*;
    use crate::sessions::{Holder, Issuer, Provider, SessionTag, Via};

    fn keyring() -> Keyring {
        Keyring::new(&RootKey::generate().unwrap()).unwrap()
    }

    fn session(holder: Holder) -> Session {
        let tag = |value: &str, transitive| SessionTag { value: value.to_owned(), transitive };
        Session {
            id: [7; 16],
            account: AccountId::from_number(111_122_223_333).unwrap(),
            holder,
            issuer: Some(Issuer { id: "AKIAIOSFODNN7EXAMPLE".parse().unwrap(), version: 9 }),
            issued: UnixMillis(1),
            ordered: UnixMillis(2),
            expires: UnixMillis(3),
            chained: true,
            source_identity: "alice".to_owned(),
            provider: None,
            subject: String::new(),
            policy: "{}".to_owned(),
            managed: vec!["ANPAQ3EGVXKZ7N2YH5W40".parse().unwrap()],
            tags: BTreeMap::from([
                ("team".to_owned(), tag("blue", true)),
                ("é".to_owned(), tag("", false)),
            ]),
            via: None,
        }
    }

    /// Of the longest issuer that there can be.
    fn provider() -> Option<Provider> {
        let arn = format!("arn:aws:iam::111122223333:oidc-provider/{}", "p".repeat(247));
        let id = "AOIPQ3EGVXKZ7N2YH5W40".parse().unwrap();
        Some(Provider { id, arn: arn.parse().unwrap() })
    }

    fn of_role() -> Session {
        let id = "AROAQ3EGVXKZ7N2YH5W40".parse().unwrap();
        session(Holder::Role { id, session: "ci-1".parse().unwrap() })
    }

    fn forwarded() -> Session {
        let issuer = Issuer { id: "AKIAIOSFODNN7SERVICE".parse().unwrap(), version: 4 };
        let service = "s3.amazonaws.com".parse().unwrap();
        Session { via: Some(Via { service, issuer }), ..of_role() }
    }

    #[test]
    fn a_token_says_what_was_sealed() {
        let keyring = keyring();
        let user = Holder::User("AIDAQ3EGVXKZ7N2YH5W40".parse().unwrap());
        let plain = Session { issuer: None, chained: false, ..session(Holder::Root) };
        let subject = "system:serviceaccount:a:b".to_owned();
        let federated = Session { provider: provider(), subject, ..of_role() };
        for session in [of_role(), session(user), plain, federated, forwarded()] {
            let made = seal(&keyring, &session).unwrap();
            let (opened, secret) = open(&keyring, &made.token).unwrap().unwrap();
            assert_eq!(opened, session);
            assert_eq!(secret, made.secret);
            assert_eq!((secret.len(), made.access_key_id.as_str().len()), (40, 20));
            assert!(made.access_key_id.as_str().starts_with("ASIA"));
        }
    }

    #[test]
    fn no_secret_fits_two_tokens() {
        let keyring = keyring();
        let [one, two] = [(); 2].map(|()| seal(&keyring, &of_role()).unwrap());
        assert_ne!(one.token, two.token);
        assert_ne!(one.secret, two.secret);
    }

    #[test]
    fn what_was_changed_or_made_elsewhere_is_no_token() {
        let keyring = keyring();
        let token = seal(&keyring, &of_role()).unwrap().token;
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(open(&keyring, &changed).unwrap().is_none(), "{at}");
            assert!(open(&keyring, &token[..at]).unwrap().is_none(), "{at}");
        }
        assert!(open(&self::keyring(), &token).unwrap().is_none());
        let other = keyring.seal_value(Purpose::Token, b"grant token", b"x").unwrap();
        assert!(open(&keyring, &URL_SAFE_NO_PAD.encode(other)).unwrap().is_none());
        assert!(open(&keyring, &"A".repeat(MAX_TOKEN + 1)).unwrap().is_none());
    }

    #[test]
    fn content_is_read_strictly() {
        let content = content::write(&forwarded()).unwrap();
        assert_eq!(content::read(&content), Some(forwarded()));
        for length in 0..content.len() {
            assert_eq!(content::read(&content[..length]), None, "{length}");
        }
        assert_eq!(content::read(&[&content[..], b"\0"].concat()), None);
        // Of another version, and with a flag that has no meaning.
        for at in [0, 1] {
            let mut changed = content.clone();
            changed[at] |= 0x80;
            assert_eq!(content::read(&changed), None);
        }
    }

    #[test]
    fn the_largest_session_fits() {
        let mut session = of_role();
        let name = "x".repeat(64);
        if let Holder::Role { session, .. } = &mut session.holder {
            *session = name.parse().unwrap();
        }
        session.source_identity = name;
        (session.provider, session.subject) = (provider(), "s".repeat(255));
        let rest = session.packed_bytes().unwrap() - session.policy.len();
        session.policy = "x".repeat(MAX_PACKED_BYTES - rest);
        assert_eq!(session.packed_bytes(), Some(MAX_PACKED_BYTES));
        let made = seal(&keyring(), &session).unwrap();
        assert!(made.token.len() <= MAX_TOKEN);
    }
}
