//! Material that others wrap, and material that is none.

use std::sync::LazyLock;

use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrapPadded};
use keystead_crypto::import::{self, WrappingAlgorithm, WrappingKey};
use keystead_crypto::material::{DataKeyPair, KeyMaterial, MaterialError};
use keystead_crypto::public::PublicKey;
use keystead_crypto::{OpenError, OperationError};
use keystead_types::{EncryptionAlgorithm, KeySpec};

const SPECS: [KeySpec; 2] = [KeySpec::Rsa2048, KeySpec::Rsa3072];

static KEYS: LazyLock<Vec<(KeySpec, WrappingKey)>> =
    LazyLock::new(|| SPECS.map(|spec| (spec, WrappingKey::generate(spec).unwrap())).into());

fn oaep(algorithm: WrappingAlgorithm) -> EncryptionAlgorithm {
    match algorithm {
        WrappingAlgorithm::OaepSha1 | WrappingAlgorithm::AesSha1 => {
            EncryptionAlgorithm::RsaesOaepSha1
        }
        _ => EncryptionAlgorithm::RsaesOaepSha256,
    }
}

fn has_aes_key(algorithm: WrappingAlgorithm) -> bool {
    algorithm.as_str().starts_with("RSA_AES")
}

fn by_aes(key: &[u8; 32], material: &[u8]) -> Vec<u8> {
    let mut wrapped = vec![0; material.len() + 16];
    let kek = AesKek::new(&AES_256, key).unwrap();
    kek.wrap_with_padding(material, &mut wrapped).unwrap().to_vec()
}

/// What somebody does who has the public key.
fn wrap(
    spec: KeySpec,
    key: &WrappingKey,
    algorithm: WrappingAlgorithm,
    material: &[u8],
) -> Vec<u8> {
    let public = PublicKey::parse(spec, key.public_key()).unwrap();
    let encrypt = |plaintext: &[u8]| public.encrypt(oaep(algorithm), plaintext).unwrap();
    match has_aes_key(algorithm) {
        true => [encrypt(&[7; 32]), by_aes(&[7; 32], material)].concat(),
        false => encrypt(material),
    }
}

#[test]
fn what_is_wrapped_is_unwrapped_by_the_same_key_and_algorithm_only() {
    for (spec, key) in KEYS.iter() {
        let stored = WrappingKey::from_secret(*spec, key.secret()).unwrap();
        assert_eq!(stored.public_key(), key.public_key());
        let (_, other) = KEYS.iter().find(|(other, _)| other != spec).unwrap();
        for algorithm in WrappingAlgorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
            let wrapped = wrap(*spec, key, algorithm, &[5; 128]);
            assert_eq!(*stored.unwrap(algorithm, &wrapped).unwrap(), [5; 128]);
            assert_eq!(other.unwrap(algorithm, &wrapped).unwrap_err(), OpenError);
            for another in WrappingAlgorithm::ALL.into_iter().filter(|one| *one != algorithm) {
                assert_eq!(stored.unwrap(another, &wrapped).unwrap_err(), OpenError);
            }
        }
    }
    assert!("RSAES_PKCS1_V1_5".parse::<WrappingAlgorithm>().is_err());
    assert!(WrappingKey::generate(KeySpec::EccNistP256).is_err());
    let ec = KeyMaterial::generate(KeySpec::EccNistP256).unwrap();
    assert!(WrappingKey::from_secret(KeySpec::Rsa2048, &ec.encode()[1..]).is_err());
}

#[test]
fn what_this_crate_wraps_it_unwraps() {
    for (spec, key) in KEYS.iter() {
        let public = PublicKey::parse(*spec, key.public_key()).unwrap();
        for algorithm in WrappingAlgorithm::ALL {
            for len in [1, 7, 8, 32, 33, 128] {
                let material = vec![5; len];
                let wrapped = import::wrap(&public, algorithm, &material).unwrap();
                assert_eq!(*key.unwrap(algorithm, &wrapped).unwrap(), material);
                assert_ne!(import::wrap(&public, algorithm, &material).unwrap(), wrapped);
            }
            let long = import::wrap(&public, algorithm, &[5; 2400]);
            if has_aes_key(algorithm) {
                assert_eq!(*key.unwrap(algorithm, &long.unwrap()).unwrap(), [5; 2400]);
            } else {
                assert_eq!(long, Err(OperationError::Length));
            }
        }
    }
    let ec = DataKeyPair::generate(KeySpec::EccNistP256).unwrap();
    let public = PublicKey::parse(KeySpec::EccNistP256, &ec.public_key).unwrap();
    let wrapped = import::wrap(&public, WrappingAlgorithm::OaepSha256, &[5; 32]);
    assert_eq!(wrapped, Err(OperationError::Unsupported));
}

#[test]
fn what_is_taken_unless_said_takes_the_material() {
    for &spec in KeySpec::ALL.iter().filter(|spec| KeyMaterial::is_importable(**spec)) {
        let algorithm = WrappingAlgorithm::for_material(spec);
        for wrapping in [KeySpec::Rsa2048, KeySpec::Rsa3072, KeySpec::Rsa4096] {
            assert!(algorithm.takes(wrapping, spec), "{spec}");
        }
    }
}

#[test]
fn nothing_damaged_is_unwrapped() {
    let (spec, key) = &KEYS[0];
    for algorithm in WrappingAlgorithm::ALL {
        let wrapped = wrap(*spec, key, algorithm, &[5; 32]);
        // Each takes a private operation of RSA.
        for bad in crate::damaged(&wrapped).step_by(17) {
            assert_eq!(key.unwrap(algorithm, &bad).unwrap_err(), OpenError);
        }
    }
}

#[test]
fn the_inner_key_has_256_bits() {
    let (spec, key) = &KEYS[0];
    let public = PublicKey::parse(*spec, key.public_key()).unwrap();
    let mut wrapped = [0; 48];
    let kek = AesKek::new(&AES_128, &[7; 16]).unwrap();
    let by_aes = kek.wrap_with_padding(&[5; 32], &mut wrapped).unwrap();
    let by_rsa = public.encrypt(EncryptionAlgorithm::RsaesOaepSha256, &[7; 16]).unwrap();
    let wrapped = [by_rsa, by_aes.to_vec()].concat();
    assert_eq!(key.unwrap(WrappingAlgorithm::AesSha256, &wrapped).unwrap_err(), OpenError);
}

#[test]
fn oaep_takes_what_is_short_enough_for_it() {
    let longest = |spec| match spec {
        KeySpec::Hmac224 | KeySpec::Hmac256 | KeySpec::Hmac384 | KeySpec::Hmac512 => 128,
        KeySpec::SymmetricDefault => 32,
        // With parameters, public key and all that OpenSSL writes.
        KeySpec::EccNistP256 | KeySpec::EccSecgP256k1 => 138,
        KeySpec::EccNistP384 => 185,
        KeySpec::EccNistP521 => 241,
        _ => 1190,
    };
    for &spec in KeySpec::ALL.iter().filter(|spec| KeyMaterial::is_importable(**spec)) {
        for (wrapping, oaep) in
            [(KeySpec::Rsa2048, 190), (KeySpec::Rsa3072, 318), (KeySpec::Rsa4096, 446)]
        {
            let fits = longest(spec) <= oaep;
            assert_eq!(WrappingAlgorithm::OaepSha256.takes(wrapping, spec), fits, "{spec}");
            assert!(WrappingAlgorithm::AesSha1.takes(wrapping, spec));
        }
    }
}

#[test]
fn nothing_shows_the_private_key() {
    assert_eq!(format!("{:?}", KEYS[0].1), "WrappingKey(..)");
}

/// The numbers of an RSA private key, and PKCS#8 of such.
struct Numbers(Vec<Vec<u8>>);

const N: usize = 1;
const E: usize = 2;
const D: usize = 3;
const P: usize = 4;
const Q: usize = 5;
const DP: usize = 6;
const QINV: usize = 8;

impl Numbers {
    fn of(pkcs8: &[u8]) -> Self {
        let (info, _) = contents(pkcs8);
        let (_, info) = contents(info);
        let (_, info) = contents(info);
        let (key, _) = contents(info);
        let (mut numbers, _) = contents(key);
        let mut all = Vec::new();
        while !numbers.is_empty() {
            let (number, rest) = contents(numbers);
            all.push(number.to_vec());
            numbers = rest;
        }
        assert_eq!(all.len(), 9);
        Self(all)
    }

    fn with(&self, at: usize, change: impl Fn(&mut Vec<u8>)) -> Self {
        let mut numbers = self.0.clone();
        change(&mut numbers[at]);
        Self(numbers)
    }

    fn pkcs8(&self, more: &[u8]) -> Vec<u8> {
        let numbers: Vec<u8> = self.0.iter().flat_map(|number| tlv(0x02, number)).collect();
        let key = tlv(0x30, &[&numbers, more].concat());
        let identifier = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
        tlv(0x30, &[&[0x02, 1, 0][..], identifier, &tlv(0x04, &key)].concat())
    }
}

fn contents(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (len, header) = match bytes[1] {
        0x81 => (usize::from(bytes[2]), 3),
        0x82 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
        short => (usize::from(short), 2),
    };
    bytes[header..].split_at(len)
}

fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = u16::try_from(contents.len()).unwrap().to_be_bytes();
    let header = match contents.len() {
        0..0x80 => vec![tag, len[1]],
        0x80..0x100 => vec![tag, 0x81, len[1]],
        _ => vec![tag, 0x82, len[0], len[1]],
    };
    [header, contents.to_vec()].concat()
}

#[test]
fn rsa_keys_whose_numbers_do_not_fit_are_refused() {
    let pair = DataKeyPair::generate(KeySpec::Rsa2048).unwrap();
    let good = Numbers::of(&pair.private_key);
    let import = |pkcs8: &[u8]| KeyMaterial::import(KeySpec::Rsa2048, pkcs8).map(|_| ());
    assert_eq!(import(&good.pkcs8(b"")), Ok(()));
    let last = |number: &mut Vec<u8>| *number.last_mut().unwrap() ^= 2;
    let bad = [
        ("another modulus", good.with(N, last)),
        ("an even modulus", good.with(N, |n| *n.last_mut().unwrap() ^= 1)),
        ("a negative modulus", good.with(N, |n| *n = n[1..].to_vec())),
        ("a longer encoding", good.with(N, |n| n.insert(0, 0))),
        ("e is 1", good.with(E, |e| *e = vec![1])),
        ("e is even", good.with(E, |e| *e = vec![1, 0, 0])),
        ("e is 0", good.with(E, |e| *e = vec![0])),
        ("e is 3", good.with(E, |e| *e = vec![3])),
        ("another d", good.with(D, last)),
        ("d is 1", good.with(D, |d| *d = vec![1])),
        ("another p", good.with(P, last)),
        ("p is 1", good.with(P, |p| *p = vec![1])),
        ("another q", good.with(Q, last)),
        ("q is 0", good.with(Q, |q| *q = vec![0])),
        ("p is q", Numbers([&good.0[..Q], &good.0[P..=P], &good.0[DP..]].concat())),
        ("p is n, q is 1", good.with(P, |p| *p = good.0[N].clone()).with(Q, |q| *q = vec![1])),
        ("another dp", good.with(DP, last)),
        ("another inverse", good.with(QINV, last)),
        ("a version for more primes", good.with(0, |version| *version = vec![1])),
    ];
    for (what, numbers) in bad {
        assert_eq!(import(&numbers.pkcs8(b"")), Err(MaterialError::Malformed), "{what}");
    }
    let more = tlv(0x30, &tlv(0x30, &[2, 1, 3, 2, 1, 3, 2, 1, 3]));
    let three = good.with(0, |version| *version = vec![1]);
    assert_eq!(import(&three.pkcs8(&more)), Err(MaterialError::Malformed), "three primes");
    assert_eq!(import(&good.pkcs8(&more)), Err(MaterialError::Malformed), "more in the key");
    let within = [&good.pkcs8(b"")[..], b"\0"].concat();
    assert_eq!(import(&within), Err(MaterialError::Malformed), "a byte more");
}
