use proptest::prelude::*;

use super::*;

/// An element by what it is, so that it can be written in the one way of DER and in any of BER.
#[derive(Debug, Clone)]
enum Tree {
    Primitive(u8, Vec<u8>),
    Octets(Vec<u8>),
    Bits(u8, Vec<u8>),
    Constructed(u8, Vec<Tree>),
}

impl Tree {
    fn der(&self) -> Vec<u8> {
        match self {
            Self::Primitive(tag, bytes) => tlv(*tag, bytes),
            Self::Octets(bytes) => tlv(OCTET_STRING, bytes),
            Self::Bits(unused, bytes) => tlv(BIT_STRING, &[&[*unused], &bytes[..]].concat()),
            Self::Constructed(tag, parts) => {
                tlv(*tag, &parts.iter().flat_map(Self::der).collect::<Vec<_>>())
            }
        }
    }

    /// One of the many ways of BER.
    fn ber(&self, rng: &mut fastrand::Rng) -> Vec<u8> {
        match self {
            Self::Primitive(tag, bytes) => definite(*tag, bytes, rng),
            Self::Octets(bytes) => octets(bytes, rng, 3),
            Self::Bits(unused, bytes) if rng.bool() => {
                let (first, last) = bytes.split_at(rng.usize(..=bytes.len()));
                let pieces = [
                    definite(BIT_STRING, &[&[0], first].concat(), rng),
                    definite(BIT_STRING, &[&[*unused], last].concat(), rng),
                ];
                constructed(BIT_STRING | CONSTRUCTED, &pieces.concat(), rng)
            }
            Self::Bits(unused, bytes) => {
                definite(BIT_STRING, &[&[*unused], &bytes[..]].concat(), rng)
            }
            Self::Constructed(tag, parts) => {
                let parts: Vec<u8> = parts.iter().flat_map(|part| part.ber(rng)).collect();
                constructed(*tag, &parts, rng)
            }
        }
    }
}

fn octets(bytes: &[u8], rng: &mut fastrand::Rng, depth: usize) -> Vec<u8> {
    if depth == 0 || rng.bool() {
        return definite(OCTET_STRING, bytes, rng);
    }
    let pieces: Vec<u8> = match bytes {
        [] => Vec::new(),
        bytes => {
            let size = rng.usize(1..=bytes.len());
            bytes.chunks(size).flat_map(|piece| octets(piece, rng, depth - 1)).collect()
        }
    };
    constructed(OCTET_STRING | CONSTRUCTED, &pieces, rng)
}

fn constructed(tag: u8, contents: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    match rng.bool() {
        true => [&[tag, 0x80], contents, &END_OF_CONTENTS].concat(),
        false => definite(tag, contents, rng),
    }
}

fn definite(tag: u8, contents: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    let len = contents.len().to_be_bytes();
    let header = match contents.len() {
        short @ 0..=0x7f if rng.bool() => vec![tag, u8::try_from(short).unwrap()],
        _ => {
            let zeros = vec![0; rng.usize(..3)];
            let count = u8::try_from(zeros.len() + len.len()).unwrap();
            [&[tag, 0x80 | count], &zeros[..], &len].concat()
        }
    };
    [&header, contents].concat()
}

/// DER by another way than the one that is tested.
fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = u16::try_from(contents.len()).unwrap().to_be_bytes();
    let header = match contents.len() {
        0..=127 => vec![tag, len[1]],
        128..=255 => vec![tag, 0x81, len[1]],
        _ => vec![tag, 0x82, len[0], len[1]],
    };
    [header, contents.to_vec()].concat()
}

fn tree() -> impl Strategy<Value = Tree> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let leaf = prop_oneof![
        (prop::sample::select(&[0x01, 0x02, 0x05, 0x06, 0x0c, 0x80][..]), bytes())
            .prop_map(|(tag, bytes)| Tree::Primitive(tag, bytes)),
        bytes().prop_map(Tree::Octets),
        (0..8u8, bytes()).prop_map(|(unused, bytes)| Tree::Bits(unused, bytes)),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        let tags = prop::sample::select(&[SEQUENCE, SET, 0xa0, 0xa1][..]);
        let parts = prop::collection::vec(inner, 0..4);
        (tags, parts).prop_map(|(tag, parts)| Tree::Constructed(tag, parts))
    })
}

/// The three parts of a `PrivateKeyInfo` and what may follow, and the private key within.
fn parts() -> impl Strategy<Value = (Vec<Tree>, Tree)> {
    (prop::collection::vec(tree(), 2..4), tree())
}

proptest! {
    #[test]
    fn every_way_of_ber_is_the_one_of_der((mut parts, key) in parts(), seed: u64) {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let mut same = parts.clone();
        parts.insert(2, Tree::Octets(key.der()));
        let der = Tree::Constructed(SEQUENCE, parts).der();
        same.insert(2, Tree::Octets(key.ber(rng)));
        let ber = Tree::Constructed(SEQUENCE, same).ber(rng);
        prop_assume!(ber.len() <= MAX_LEN);
        let expected = Some(Zeroizing::new(der.clone()));
        prop_assert_eq!(&pkcs8_to_der(&ber), &expected);
        prop_assert_eq!(&pkcs8_to_der(&der), &expected);
        let more = [&ber[..], &[0]].concat();
        prop_assert!(pkcs8_to_der(&more).is_none());
        prop_assert!(pkcs8_to_der(&ber[..ber.len() - 1]).is_none());
    }

    /// Whatever is taken of what is hardly BER any more, it comes out in DER.
    #[test]
    fn what_comes_out_stays_as_it_is(
        (mut parts, key) in parts(),
        seed: u64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let rng = &mut fastrand::Rng::with_seed(seed);
        parts.insert(2, Tree::Octets(key.ber(rng)));
        let mut ber = Tree::Constructed(SEQUENCE, parts).ber(rng);
        for (at, byte) in changes {
            let at = at.index(ber.len());
            ber[at] = byte;
        }
        if let Some(der) = pkcs8_to_der(&ber) {
            prop_assert_eq!(pkcs8_to_der(&der), Some(der));
        }
    }

    #[test]
    fn no_bytes_make_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = pkcs8_to_der(&[&[SEQUENCE, 0x80], &bytes[..]].concat());
        let _ = pkcs8_to_der(&bytes);
    }
}

/// A private key in which the second part is this.
fn with(second: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&[0x02, 1, 0], second, &[OCTET_STRING, 2, 0x30, 0]].concat())
}

#[test]
fn what_is_no_ber_is_refused() {
    assert!(pkcs8_to_der(&with(&[0x05, 0])).is_some());
    for (what, second) in [
        ("a number in elements", &[0x22, 3, 0x02, 1, 0][..]),
        ("an open length of what has no elements", &[OCTET_STRING, 0x80, 1, 0, 0]),
        ("a SEQUENCE that is bytes", &[0x10, 0]),
        ("a SET that is bytes", &[0x11, 0]),
        ("an end of nothing", &[0, 0]),
        ("a tag of several bytes", &[0x1f, 0x81, 1, 0]),
        ("a length that is reserved", &[0x05, 0xff]),
        ("a length beyond all", &[0x05, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a length beyond the end", &[0x05, 0x82, 0x10, 0]),
        ("a piece of another string", &[0x24, 3, 0x0c, 1, b'a']),
        ("bits in a string of octets", &[0x24, 3, 0x03, 1, 0]),
        ("unused bits before the last piece", &[0x23, 8, 0x03, 2, 4, 0xf0, 0x03, 2, 0, 1]),
        ("a piece without its count", &[0x23, 2, 0x03, 0]),
        ("no end", &[SEQUENCE, 0x80, 0x05, 0]),
    ] {
        assert!(pkcs8_to_der(&with(second)).is_none(), "{what}");
    }
    for (what, bytes) in [
        ("nothing", &[][..]),
        ("a tag alone", &[SEQUENCE]),
        ("two parts", &[SEQUENCE, 5, 0x02, 1, 0, 0x05, 0]),
        ("a key that is no string", &[SEQUENCE, 7, 0x02, 1, 0, 0x05, 0, SEQUENCE, 0]),
        ("a key that is nothing", &[SEQUENCE, 7, 0x02, 1, 0, 0x05, 0, OCTET_STRING, 0]),
        ("a SET", &[SET, 9, 0x02, 1, 0, 0x05, 0, OCTET_STRING, 2, 0x30, 0]),
    ] {
        assert!(pkcs8_to_der(bytes).is_none(), "{what}");
    }
}

#[test]
fn depth_and_size_have_an_end() {
    let deep = |levels| (0..levels).fold(Vec::new(), |inner, _| tlv(SEQUENCE, &inner));
    assert!(pkcs8_to_der(&with(&deep(MAX_DEPTH - 1))).is_some());
    assert!(pkcs8_to_der(&with(&deep(MAX_DEPTH))).is_none());
    let open = |levels| [[SEQUENCE, 0x80].repeat(levels), vec![0; 2 * levels]].concat();
    assert!(pkcs8_to_der(&with(&open(MAX_DEPTH - 1))).is_some());
    for levels in [MAX_DEPTH, 1000, 100_000] {
        assert!(pkcs8_to_der(&open(levels)).is_none());
        assert!(pkcs8_to_der(&[SEQUENCE, 0x80].repeat(levels)).is_none());
        assert!(pkcs8_to_der(&[OCTET_STRING | CONSTRUCTED, 0x80].repeat(levels)).is_none());
    }
    let frame = with(&tlv(OCTET_STRING, &[0; 1000])).len() - 1000;
    assert!(pkcs8_to_der(&with(&tlv(OCTET_STRING, &vec![0; MAX_LEN - frame]))).is_some());
    assert!(pkcs8_to_der(&with(&tlv(OCTET_STRING, &vec![0; MAX_LEN - frame + 1]))).is_none());
}
