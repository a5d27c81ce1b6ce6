//! The same for gRPC: inputs as protobuf messages in frames, and ways to break either.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use keystead_api::MessageShape;
use keystead_api::shape::{Kind, ValueShape};
use serde_json::Value;

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const START_GROUP: u8 = 3;
/// What no enumeration and no message of the API has.
const UNKNOWN_NUMBERS: &[u64] = &[0, 99, 18_999, 19_500, 536_870_911, 536_870_912, u64::MAX >> 3];
/// Lengths that no field can have.
const HUGE: &[u64] =
    &[1 << 20, 0x7fff_ffff, 0x8000_0000, u32::MAX as u64, i64::MAX as u64, u64::MAX];
/// A message larger than the service takes.
const TOO_LARGE: usize = 1_200_000;
const DEEPEST: usize = 50_000;

/// The body of a gRPC call, made of an input: one to three changes to its values, at times some to
/// the bytes of its message, seldom one to its frame. `other` is another message to take parts of.
pub fn body(rng: &mut Rng, shape: &MessageShape, mut input: Value, other: &[u8]) -> Vec<u8> {
    for _ in 0..rng.u8(1..=3) {
        super::change(rng, &mut input);
    }
    let mut message = encode(shape, &input);
    if rng.u8(..10) < 4 {
        for _ in 0..rng.u8(1..=3) {
            break_message(rng, &mut message, other);
        }
    }
    let mut body = frame(&message);
    if rng.u8(..10) == 0 {
        break_frame(rng, &mut body);
    }
    body
}

/// A message as gRPC sends it: not compressed, its length, itself.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), message].concat()
}

/// An input's JSON form as a message. A value of another type than its member's takes the wire
/// type that suits the value; a member that the message does not have is left out.
pub fn encode(shape: &MessageShape, input: &Value) -> Vec<u8> {
    let mut message = Vec::new();
    for member in shape.members {
        if let Some(value) = input.get(member.name) {
            put_value(&mut message, u64::from(member.number), &member.value, value);
        }
    }
    message
}

/// A field of a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its number.
    pub number: u64,
    /// Its value's bytes, without their length.
    pub value: &'a [u8],
    /// Where in the message its tag begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// The fields of a message, up to the first that is malformed.
pub fn fields(message: &[u8]) -> Vec<Field<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(field) = field_at(message, at) {
        at = field.end;
        found.push(field);
    }
    found
}

fn field_at(message: &[u8], start: usize) -> Option<Field<'_>> {
    let (tag, mut at) = varint_at(message, start)?;
    let length = match u8::try_from(tag & 7).ok()? {
        VARINT => varint_at(message, at)?.1 - at,
        FIXED64 => 8,
        BYTES => {
            let (length, after) = varint_at(message, at)?;
            at = after;
            usize::try_from(length).ok()?
        }
        5 => 4,
        _ => return None,
    };
    let end = at.checked_add(length)?;
    Some(Field { number: tag >> 3, value: message.get(at..end)?, start, end })
}

fn varint_at(message: &[u8], start: usize) -> Option<(u64, usize)> {
    let mut number = 0;
    for (index, byte) in message.get(start..)?.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, start + index + 1));
        }
    }
    None
}

fn put_value(message: &mut Vec<u8>, number: u64, shape: &ValueShape, value: &Value) {
    match (&shape.kind, value) {
        (_, Value::Null) => {}
        (Kind::List(item), Value::Array(values)) => {
            values.iter().for_each(|value| put_value(message, number, item, value));
        }
        (Kind::Map, Value::Object(pairs)) => {
            for (name, value) in pairs {
                let mut pair = Vec::new();
                put_bytes(&mut pair, 1, name.as_bytes());
                put_bytes(&mut pair, 2, value.as_str().unwrap_or_default().as_bytes());
                put_bytes(message, number, &pair);
            }
        }
        (Kind::Structure(inner), Value::Object(_)) => {
            put_bytes(message, number, &encode(inner(), value));
        }
        (Kind::Blob, Value::String(text)) => {
            let bytes = STANDARD.decode(text).unwrap_or_else(|_| text.clone().into_bytes());
            put_bytes(message, number, &bytes);
        }
        (Kind::Enum(texts), Value::String(text)) => {
            let known = texts().number(text).and_then(|number| u64::try_from(number).ok());
            put_number(message, number, known.unwrap_or(UNKNOWN_NUMBERS[1]));
        }
        (Kind::Timestamp, Value::Number(seconds)) => {
            let mut time = Vec::new();
            put_number(&mut time, 1, seconds.as_u64().unwrap_or(u64::MAX));
            put_bytes(message, number, &time);
        }
        (_, Value::Bool(value)) => put_number(message, number, u64::from(*value)),
        (_, Value::Number(value)) => match value.as_i64() {
            // Two's complement in 64 bits, as protobuf writes negative numbers.
            Some(value) => put_number(message, number, value.cast_unsigned()),
            None => put_fixed(message, number, value.as_f64().unwrap_or_default()),
        },
        (_, Value::String(text)) => put_bytes(message, number, text.as_bytes()),
        (_, other) => put_bytes(message, number, other.to_string().as_bytes()),
    }
}

fn put_number(message: &mut Vec<u8>, number: u64, value: u64) {
    put_tag(message, number, VARINT);
    put_varint(message, value);
}

fn put_fixed(message: &mut Vec<u8>, number: u64, value: f64) {
    put_tag(message, number, FIXED64);
    message.extend_from_slice(&value.to_le_bytes());
}

fn put_bytes(message: &mut Vec<u8>, number: u64, value: &[u8]) {
    put_tag(message, number, BYTES);
    put_varint(message, value.len() as u64);
    message.extend_from_slice(value);
}

fn put_tag(message: &mut Vec<u8>, number: u64, wire_type: u8) {
    put_varint(message, number << 3 | u64::from(wire_type));
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    message.push(value.to_le_bytes()[0]);
}

/// Changes the message's bytes, mostly so that it is no message any more.
fn break_message(rng: &mut Rng, message: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(..=message.len());
    let until = (at + rng.usize(1..40)).min(message.len());
    match rng.u8(..16) {
        0 | 1 => {
            if let Some(byte) = message.get_mut(at) {
                *byte ^= 1 << rng.u8(..8);
            }
        }
        2 => {
            let garbage: Vec<u8> = (0..rng.usize(1..40)).map(|_| rng.u8(..)).collect();
            message.splice(at..at, garbage);
        }
        3 => drop(message.drain(at..until)),
        4 => {
            let part = message[at..until].repeat(rng.usize(1..20));
            message.splice(at..at, part);
        }
        5 => message.truncate(at),
        6 => {
            let from = rng.usize(..=other.len());
            message.splice(at.., other[from..].iter().copied());
        }
        7 => splice_fields(rng, message, other),
        8 => repeat_or_drop_field(rng, message),
        9 => put_unknown(rng, message),
        10 => retype_field(rng, message),
        11 => {
            put_tag(message, rng.u64(1..20), BYTES);
            put_varint(message, rng.choice(HUGE).copied().unwrap_or(u64::MAX));
        }
        12 => {
            put_tag(message, rng.u64(1..20), VARINT);
            message.extend(std::iter::repeat_n(0xff, rng.usize(9..40)));
        }
        13 => *message = nested(rng),
        14 if rng.u8(..20) == 0 => put_bytes(message, 15_000, &vec![0; TOO_LARGE]),
        14 => *message = (0..rng.usize(..2000)).map(|_| rng.u8(..)).collect(),
        _ => message.clear(),
    }
}

/// The first fields of one message and the last ones of another.
fn splice_fields(rng: &mut Rng, message: &mut Vec<u8>, other: &[u8]) {
    let cut = rng.choice(fields(message)).map_or(0, |field| field.end);
    let from = rng.choice(fields(other)).map_or(0, |field| field.start);
    message.truncate(cut);
    message.extend_from_slice(&other[from..]);
}

fn repeat_or_drop_field(rng: &mut Rng, message: &mut Vec<u8>) {
    let Some(field) = rng.choice(fields(message)) else { return };
    let (start, end) = (field.start, field.end);
    if rng.bool() {
        message.drain(start..end);
    } else {
        let field = message[start..end].repeat(rng.usize(1..50));
        message.extend(field);
    }
}

fn put_unknown(rng: &mut Rng, message: &mut Vec<u8>) {
    let number = rng.choice(UNKNOWN_NUMBERS).copied().unwrap_or_default();
    match rng.u8(..4) {
        0 => put_number(message, number, rng.u64(..)),
        1 => put_fixed(message, number, rng.f64()),
        2 => put_bytes(message, number, &vec![rng.u8(..); rng.usize(..3000)]),
        // Groups that nobody closes, and wire types that do not exist.
        _ => put_tag(message, number, rng.u8(START_GROUP..8)),
    }
}

/// Gives a field another wire type; its value stays.
fn retype_field(rng: &mut Rng, message: &mut [u8]) {
    let start = rng.choice(fields(message)).map(|field| field.start);
    if let Some(tag) = start.and_then(|start| message.get_mut(start)) {
        *tag = *tag & !7 | rng.u8(..8);
    }
}

/// Groups or messages in one another, deeper than any reader should follow.
fn nested(rng: &mut Rng) -> Vec<u8> {
    let depth = rng.usize(50..=DEEPEST);
    let number = rng.u64(1..12);
    let mut message = Vec::new();
    if rng.bool() {
        (0..depth).for_each(|_| put_tag(&mut message, number, START_GROUP));
        return message;
    }
    for _ in 0..depth.min(1000) {
        let inner = std::mem::take(&mut message);
        put_bytes(&mut message, number, &inner);
    }
    message
}

/// Changes what stands around the message.
fn break_frame(rng: &mut Rng, body: &mut Vec<u8>) {
    match rng.u8(..7) {
        0 => body[0] = rng.u8(1..),
        1 => body[4] = body[4].wrapping_add(rng.u8(1..)),
        2 => body[1..5].copy_from_slice(&rng.u32(..).to_be_bytes()),
        3 => body[1..5].copy_from_slice(&u32::MAX.to_be_bytes()),
        4 => body.truncate(rng.usize(..5)),
        5 => body.extend((0..rng.usize(1..40)).map(|_| rng.u8(..))),
        _ => *body = body.repeat(rng.usize(2..5)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use keystead_api::kms::{CreateKeyRequest, EncryptRequest, KeySpec};
    use keystead_api::{Message, Wire, decode, operations};
    use serde_json::json;

    use super::*;
    use crate::inputs::{Catalogue, Known};

    fn shape(operation: &str) -> &'static MessageShape {
        let found = operations().iter().find(|shape| shape.name == operation).unwrap();
        (found.input)()
    }

    fn both<M: Message + PartialEq>(operation: &str, input: &Value) -> M {
        let message = decode::<M>(Wire::Proto, &encode(shape(operation), input)).unwrap();
        let json = decode::<M>(Wire::AwsJson, input.to_string().as_bytes()).unwrap();
        assert_eq!(message, json);
        message
    }

    #[test]
    fn a_message_is_what_its_json_form_is() {
        let input = json!({
            "KeyId": "x", "Plaintext": "AAEC", "EncryptionContext": {"a": "1", "b": "2"},
            "GrantTokens": ["t", "u"], "EncryptionAlgorithm": "SYMMETRIC_DEFAULT", "DryRun": true,
        });
        let encrypt: EncryptRequest = both("Encrypt", &input);
        assert_eq!(encrypt.encryption_context.len(), 2);
        let input = json!({
            "KeySpec": "RSA_2048", "Tags": [{"TagKey": "a", "TagValue": "b"}], "Policy": "{}",
        });
        assert_eq!(both::<CreateKeyRequest>("CreateKey", &input).key_spec(), KeySpec::Rsa2048);
    }

    #[test]
    fn every_valid_input_is_a_message_of_as_many_members() {
        let catalogue = Catalogue::new().unwrap();
        for name in catalogue.names() {
            let input = catalogue.input(&mut Rng::with_seed(3), name, &Known::default());
            let message = encode(shape(name), &input);
            let whole = fields(&message).last().map_or(0, |field| field.end);
            assert_eq!(whole, message.len(), "{name}");
            let numbers: HashSet<_> = fields(&message).iter().map(|field| field.number).collect();
            // On this wire an empty map is the same as none; an empty structure is not.
            let sent = |member: &&keystead_api::MemberShape| match input.get(member.name) {
                Some(value) => !matches!(member.value.kind, Kind::Map) || *value != json!({}),
                None => false,
            };
            let members = shape(name).members.iter().filter(sent).count();
            assert_eq!(numbers.len(), members, "{name} {input}");
        }
    }

    #[test]
    fn bodies_follow_the_seed_and_most_decoders_see_both_kinds() {
        let input = json!({"KeyId": "x", "Plaintext": "AAEC", "EncryptionContext": {"a": "b"}});
        let other = encode(shape("Decrypt"), &json!({"CiphertextBlob": "AAAAAAAA"}));
        let made = |seed| body(&mut Rng::with_seed(seed), shape("Encrypt"), input.clone(), &other);
        assert_eq!(made(5), made(5));
        let bodies: HashSet<_> = (0..2000).map(made).collect();
        assert!(bodies.len() > 1000, "{}", bodies.len());
        let framed = |body: &&Vec<u8>| body.len() >= 5 && frame(&body[5..]) == **body;
        let whole: Vec<_> = bodies.iter().filter(framed).collect();
        assert!(whole.len() < bodies.len() && whole.len() > bodies.len() / 2);
        let malformed = whole
            .iter()
            .filter(|body| fields(&body[5..]).last().map_or(0, |field| field.end) < body.len() - 5);
        assert!((50..1000).contains(&malformed.count()));
    }
}
