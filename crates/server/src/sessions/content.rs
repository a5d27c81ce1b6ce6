//! A session as bytes: what is sealed in a token (`docs/cryptography.md`).
//!
//! Numbers are big-endian. Texts are `u16 length ‖ UTF-8`, lists `u8 count ‖ items`. There is one
//! way to write a session, and what is left over makes the whole unreadable.

use std::collections::BTreeMap;

use keystead_types::{AccountId, UnixMillis};

use super::{Holder, Issuer, Provider, Session, SessionTag, Via};

const VERSION: u8 = 1;
const ROOT: u8 = 1;
const USER: u8 = 2;
const ROLE: u8 = 3;
const CHAINED: u8 = 1;
const FORWARDED: u8 = 2;
const TRANSITIVE: u8 = 1;

/// A session as bytes; `None` where a part of it is too long for the format.
pub(super) fn write(session: &Session) -> Option<Vec<u8>> {
    let flags = if session.chained { CHAINED } else { 0 }
        | if session.via.is_some() { FORWARDED } else { 0 };
    let mut content = vec![VERSION, flags];
    content.extend_from_slice(&session.id);
    content.extend_from_slice(&session.account.number().to_be_bytes());
    for time in [session.issued, session.ordered, session.expires] {
        content.extend_from_slice(&time.0.to_be_bytes());
    }
    match &session.holder {
        Holder::Root => content.push(ROOT),
        Holder::User(id) => {
            content.push(USER);
            text(&mut content, &id.to_string())?;
        }
        Holder::Role { id, session } => {
            content.push(ROLE);
            text(&mut content, &id.to_string())?;
            text(&mut content, session.as_str())?;
        }
    }
    match &session.issuer {
        Some(known) => issuer(&mut content, known)?,
        None => {
            text(&mut content, "")?;
            content.extend_from_slice(&[0; 8]);
        }
    }
    let provider = session.provider.as_ref();
    let provider = provider.map(|Provider { id, arn }| format!("{id} {arn}")).unwrap_or_default();
    for part in [&session.source_identity, &provider, &session.subject] {
        text(&mut content, part)?;
    }
    if let Some(via) = &session.via {
        text(&mut content, via.service.as_str())?;
        issuer(&mut content, &via.issuer)?;
    }
    content.extend_from_slice(&packed(session)?);
    Some(content)
}

fn issuer(content: &mut Vec<u8>, issuer: &Issuer) -> Option<()> {
    text(content, issuer.id.as_str())?;
    content.extend_from_slice(&issuer.version.to_be_bytes());
    Some(())
}

/// The part of a session whose size its maker decides: policies and tags.
pub(super) fn packed(session: &Session) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    text(&mut content, &session.policy)?;
    content.push(u8::try_from(session.managed.len()).ok()?);
    for id in &session.managed {
        text(&mut content, &id.to_string())?;
    }
    content.push(u8::try_from(session.tags.len()).ok()?);
    for (key, tag) in &session.tags {
        text(&mut content, key)?;
        text(&mut content, &tag.value)?;
        content.push(if tag.transitive { TRANSITIVE } else { 0 });
    }
    Some(content)
}

fn text(content: &mut Vec<u8>, text: &str) -> Option<()> {
    content.extend_from_slice(&u16::try_from(text.len()).ok()?.to_be_bytes());
    content.extend_from_slice(text.as_bytes());
    Some(())
}

/// The session of these bytes; `None` if they are none.
pub(super) fn read(content: &[u8]) -> Option<Session> {
    let mut rest = Reader(content);
    let [VERSION, flags] = rest.array()? else { return None };
    let chained = flag(flags & !FORWARDED, CHAINED)?;
    let id = rest.array()?;
    let account = AccountId::from_number(rest.number()?)?;
    let (issued, ordered, expires) = (rest.time()?, rest.time()?, rest.time()?);
    let holder = match rest.byte()? {
        ROOT => Holder::Root,
        USER => Holder::User(rest.text()?.parse().ok()?),
        ROLE => {
            let id = rest.text()?.parse().ok()?;
            Holder::Role { id, session: rest.text()?.parse().ok()? }
        }
        _ => return None,
    };
    let (issuer, version) = (rest.text()?, rest.number()?);
    let issuer = match issuer {
        "" => None,
        id => Some(Issuer { id: id.parse().ok()?, version }),
    };
    let source_identity = rest.text()?.to_owned();
    let provider = match rest.text()? {
        "" => None,
        text => {
            let (id, arn) = text.split_once(' ')?;
            Some(Provider { id: id.parse().ok()?, arn: arn.parse().ok()? })
        }
    };
    let subject = rest.text()?.to_owned();
    let via = match flags & FORWARDED {
        0 => None,
        _ => {
            let service = rest.text()?.parse().ok()?;
            let issuer = Issuer { id: rest.text()?.parse().ok()?, version: rest.number()? };
            Some(Via { service, issuer })
        }
    };
    let policy = rest.text()?.to_owned();
    let managed = (0..rest.byte()?).map(|_| rest.text()?.parse().ok()).collect::<Option<_>>()?;
    let mut tags = BTreeMap::new();
    for _ in 0..rest.byte()? {
        let (key, value) = (rest.text()?.to_owned(), rest.text()?.to_owned());
        let transitive = flag(rest.byte()?, TRANSITIVE)?;
        tags.insert(key, SessionTag { value, transitive });
    }
    let session = Session {
        id,
        account,
        holder,
        issuer,
        issued,
        ordered,
        expires,
        chained,
        source_identity,
        provider,
        subject,
        policy,
        managed,
        tags,
        via,
    };
    rest.0.is_empty().then_some(session)
}

/// A byte of which one bit may be set.
fn flag(byte: u8, bit: u8) -> Option<bool> {
    (byte & !bit == 0).then_some(byte == bit)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn time(&mut self) -> Option<UnixMillis> {
        self.number().map(UnixMillis)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.array().map(u16::from_be_bytes)?;
        let (text, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}
