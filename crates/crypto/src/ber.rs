//! PKCS#8 from BER to DER (X.690), for keys that somebody else encoded.
//!
//! BER leaves to the writer what DER decides: how a length is written, whether it is written at all,
//! and whether a string comes in pieces. Only that is undone here. What the elements mean, and whether
//! they make a key, is for those who read the DER; it is the input itself where that is DER already.

use std::slice;

use zeroize::Zeroizing;

/// More than any key that can be imported has: AWS's limit for what is wrapped.
const MAX_LEN: usize = 6144;
/// More levels than there are in any key: PKCS#8 has five.
const MAX_DEPTH: usize = 16;

const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONSTRUCTED: u8 = 0x20;
const CLASS: u8 = 0xc0;
/// A tag with this number goes on in the next byte.
const LONG_TAG: u8 = 0x1f;
const END_OF_CONTENTS: [u8; 2] = [0, 0];

/// The `PrivateKeyInfo` (RFC 5208) that these bytes are and nothing else, in DER, and in it the
/// private key, which is an encoding of its own in an OCTET STRING. `None` if it is no BER, or
/// larger or deeper than a key.
pub(crate) fn pkcs8_to_der(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if bytes.len() > MAX_LEN {
        return None;
    }
    let info = Element::whole(bytes)?;
    let Contents::Elements(parts) = &info.contents else { return None };
    let [version, algorithm, private_key, attributes @ ..] = &parts[..] else { return None };
    if info.tag != SEQUENCE || private_key.tag & !CONSTRUCTED != OCTET_STRING {
        return None;
    }
    let octets = private_key.octets()?;
    let private_key = encoded(OCTET_STRING, &Element::whole(&octets)?.der()?);
    let mut contents = vec![version.der()?, algorithm.der()?, private_key];
    for attribute in attributes {
        contents.push(attribute.der()?);
    }
    Some(encoded(SEQUENCE, &joined(&contents)))
}

/// An element as it was written.
struct Element<'a> {
    tag: u8,
    contents: Contents<'a>,
}

enum Contents<'a> {
    Bytes(&'a [u8]),
    Elements(Vec<Element<'a>>),
}

impl<'a> Element<'a> {
    /// The element that is all of the bytes.
    fn whole(bytes: &'a [u8]) -> Option<Self> {
        let (element, rest) = Self::read(bytes, MAX_DEPTH)?;
        rest.is_empty().then_some(element)
    }

    /// The first element of the bytes, and what comes after it.
    fn read(bytes: &'a [u8], depth: usize) -> Option<(Self, &'a [u8])> {
        let depth = depth.checked_sub(1)?;
        let (&tag, rest) = bytes.split_first()?;
        let (length, rest) = length(rest)?;
        if !is_known(tag) {
            return None;
        }
        let constructed = tag & CONSTRUCTED != 0;
        let (contents, rest) = match length {
            Some(length) => {
                let (contents, rest) = rest.split_at_checked(length)?;
                match constructed {
                    true => (Contents::Elements(Self::all(contents, depth)?), rest),
                    false => (Contents::Bytes(contents), rest),
                }
            }
            None if constructed => {
                let (elements, rest) = Self::until_end(rest, depth)?;
                (Contents::Elements(elements), rest)
            }
            None => return None,
        };
        Some((Self { tag, contents }, rest))
    }

    /// The elements that the bytes are.
    fn all(mut bytes: &'a [u8], depth: usize) -> Option<Vec<Self>> {
        let mut elements = Vec::new();
        while !bytes.is_empty() {
            let (element, rest) = Self::read(bytes, depth)?;
            elements.push(element);
            bytes = rest;
        }
        Some(elements)
    }

    /// The elements up to the mark of an end, and what comes after it.
    fn until_end(mut bytes: &'a [u8], depth: usize) -> Option<(Vec<Self>, &'a [u8])> {
        let mut elements = Vec::new();
        loop {
            if let Some(rest) = bytes.strip_prefix(&END_OF_CONTENTS) {
                return Some((elements, rest));
            }
            let (element, rest) = Self::read(bytes, depth)?;
            elements.push(element);
            bytes = rest;
        }
    }

    /// The element in DER.
    fn der(&self) -> Option<Zeroizing<Vec<u8>>> {
        let parts = match &self.contents {
            Contents::Bytes(bytes) => return Some(encoded(self.tag, bytes)),
            Contents::Elements(parts) => parts,
        };
        match self.tag & !CONSTRUCTED {
            OCTET_STRING => Some(encoded(OCTET_STRING, &self.octets()?)),
            BIT_STRING => Some(encoded(BIT_STRING, &self.bits()?)),
            _ => {
                let parts: Option<Vec<_>> = parts.iter().map(Self::der).collect();
                Some(encoded(self.tag, &joined(&parts?)))
            }
        }
    }

    /// What an OCTET STRING holds, whose pieces may be in pieces themselves.
    fn octets(&self) -> Option<Zeroizing<Vec<u8>>> {
        Some(Zeroizing::new(self.pieces(OCTET_STRING)?.concat()))
    }

    /// What a BIT STRING holds, its count of unused bits first: only its last piece may have some.
    fn bits(&self) -> Option<Zeroizing<Vec<u8>>> {
        let (mut unused, mut bits) = (0, vec![&[][..]]);
        for piece in self.pieces(BIT_STRING)? {
            if unused != 0 {
                return None;
            }
            let (&count, piece) = piece.split_first()?;
            unused = count;
            bits.push(piece);
        }
        bits[0] = slice::from_ref(&unused);
        Some(Zeroizing::new(bits.concat()))
    }

    /// The pieces of a string of this type, in their order.
    fn pieces(&self, string: u8) -> Option<Vec<&'a [u8]>> {
        if self.tag & !CONSTRUCTED != string {
            return None;
        }
        match &self.contents {
            Contents::Bytes(bytes) => Some(vec![bytes]),
            Contents::Elements(parts) => {
                let pieces = parts.iter().map(|part| part.pieces(string));
                Some(pieces.collect::<Option<Vec<_>>>()?.concat())
            }
        }
    }
}

/// Whether it is a tag of one byte whose form fits its type. Of the universal types only these come
/// in elements, and the number 0 is no type.
fn is_known(tag: u8) -> bool {
    if tag & LONG_TAG == LONG_TAG {
        return false;
    }
    if tag & CLASS != 0 {
        return true;
    }
    let constructed = tag & CONSTRUCTED != 0;
    match tag & !CONSTRUCTED {
        0 => false,
        BIT_STRING | OCTET_STRING => true,
        _ => constructed == matches!(tag | CONSTRUCTED, SEQUENCE | SET),
    }
}

/// The length at the front of the bytes, `None` if it is left open, and what comes after it.
fn length(bytes: &[u8]) -> Option<(Option<usize>, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0..=0x7f => Some((Some(first.into()), rest)),
        0x80 => Some((None, rest)),
        // Reserved.
        0xff => None,
        _ => {
            let (digits, rest) = rest.split_at_checked((first & 0x7f).into())?;
            let length = digits.iter().try_fold(0_usize, |length, &digit| {
                length.checked_mul(256)?.checked_add(digit.into())
            })?;
            Some((Some(length), rest))
        }
    }
}

/// An element in DER.
fn encoded(tag: u8, contents: &[u8]) -> Zeroizing<Vec<u8>> {
    let header = match contents.len().to_be_bytes() {
        [.., 0, len @ 0..=0x7f] => vec![tag, len],
        [.., 0, len] => vec![tag, 0x81, len],
        // Never more than two bytes: nothing is much longer than `MAX_LEN`.
        [.., high, low] => vec![tag, 0x82, high, low],
    };
    Zeroizing::new([&header, contents].concat())
}

fn joined(parts: &[Zeroizing<Vec<u8>>]) -> Zeroizing<Vec<u8>> {
    let parts: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
    Zeroizing::new(parts.concat())
}

#[cfg(test)]
mod tests;
