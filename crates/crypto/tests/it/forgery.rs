//! What somebody could make of ciphertexts without the key: damage, recombinations, and ciphertexts
//! that AES-GCM alone opens under two keys. Each refusal is counted by the check it is due to, as
//! the description in `reference.rs` sees it.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use fastrand::Rng;
use keystead_crypto::blob::{self, ParsedBlob};
use keystead_crypto::context::CanonicalContext;
use keystead_crypto::material::KeyMaterial;
use keystead_types::{KeyId, KeySpec};

use crate::reference::{Message, gcm_opens};
use crate::{context, damaged, material};

const LABEL: &str = "keystead.v1.sym";
const BLOBS: usize = 100;
/// Header, key id and material id, salt, commitment, IV, ciphertext, tag: where each begins.
const HEADER: usize = 36;
const SALTED: usize = 60;
const COMMITTED: usize = 92;
const IV_END: usize = 104;

/// Whether this build leaves the commitment unchecked, to show what the check is for.
const UNCHECKED: bool = cfg!(feature = "danger-skip-commitment");

/// A ciphertext, and what opens it.
struct Sealed {
    with: u8,
    context: CanonicalContext,
    bytes: Vec<u8>,
}

impl Sealed {
    fn new(rng: &mut Rng, with: u8, len: usize) -> Self {
        let key_id = KeyId::new([with; 16], with.is_multiple_of(2));
        let id = material(with).id(&key_id, KeySpec::SymmetricDefault).unwrap();
        let context = context(&[("blob", &rng.u64(..).to_string())]);
        let plaintext: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(len).collect();
        let bytes = blob::encrypt(&material(with), &key_id, &id, &context, &plaintext).unwrap();
        Self { with, context, bytes }
    }

    /// Whether a ciphertext opens where this one does.
    fn opens(&self, bytes: &[u8]) -> bool {
        opens(&material(self.with), &self.context, bytes)
    }

    /// Which check refuses a ciphertext where this one opens.
    fn refused_by(&self, bytes: &[u8]) -> &'static str {
        let Ok(parsed) = ParsedBlob::parse(bytes) else { return "form" };
        let right = ParsedBlob::parse(&self.bytes).unwrap();
        if parsed.key_id() != right.key_id() {
            return "another key";
        }
        if parsed.material_id_prefix() != right.material_id_prefix() {
            return "another material";
        }
        let (aes_key, commitment) = keys(self.with, &bytes[..SALTED], &self.context);
        let aad = [&bytes[..COMMITTED], self.context.bytes()].concat();
        let tag = gcm_opens(&aes_key, &bytes[COMMITTED..IV_END], &aad, &bytes[IV_END..]);
        match (commitment == bytes[SALTED..COMMITTED], tag) {
            (false, false) => "commitment and tag",
            (false, true) => "commitment alone",
            (true, false) => "tag alone",
            (true, true) => "none",
        }
    }
}

fn opens(material: &KeyMaterial, context: &CanonicalContext, bytes: &[u8]) -> bool {
    ParsedBlob::parse(bytes).is_ok_and(|blob| blob::decrypt(material, &blob, context).is_ok())
}

fn keys(with: u8, salted_header: &[u8], context: &CanonicalContext) -> (Vec<u8>, Vec<u8>) {
    let bound = context.bytes();
    Message { key: &[with; 32], label: LABEL, salted_header, bound, iv: [0; 12], plaintext: &[] }
        .keys()
}

fn told(what: &str, refused: &BTreeMap<&str, usize>) {
    println!("{what}: {} refused, 0 accepted: {refused:?}", refused.values().sum::<usize>());
}

#[test]
fn no_damage_is_accepted() {
    let mut rng = Rng::with_seed(1);
    let mut refused = BTreeMap::new();
    for number in 0..BLOBS {
        let sealed = Sealed::new(&mut rng, (number % 7) as u8 + 1, number + 1);
        assert!(sealed.opens(&sealed.bytes));
        for bytes in damaged(&sealed.bytes) {
            assert!(!sealed.opens(&bytes), "{}", hex::encode(&bytes));
            *refused.entry(sealed.refused_by(&bytes)).or_default() += 1;
        }
    }
    told("flipped, shortened and lengthened", &refused);
    assert!(refused.values().sum::<usize>() >= 130_000);
    assert!(!refused.contains_key("none"));
}

/// Every combination of the fields of two ciphertexts: of one key or two, one context or two.
#[test]
fn no_recombination_is_accepted() {
    let mut rng = Rng::with_seed(2);
    let mut refused = BTreeMap::new();
    let all: Vec<Sealed> = (0..12).map(|one| Sealed::new(&mut rng, one % 4 + 1, 32)).collect();
    let ends = [4, 20, HEADER, SALTED, COMMITTED, IV_END, 136, 152];
    for one in &all {
        for other in &all {
            for choice in 0..1u32 << ends.len() {
                let mut bytes = one.bytes.clone();
                let mut from = 0;
                for (field, end) in ends.into_iter().enumerate() {
                    if choice >> field & 1 == 1 {
                        bytes[from..end].copy_from_slice(&other.bytes[from..end]);
                    }
                    from = end;
                }
                for place in [one, other] {
                    if bytes == place.bytes {
                        assert!(place.opens(&bytes));
                        continue;
                    }
                    assert!(!place.opens(&bytes));
                    *refused.entry(place.refused_by(&bytes)).or_default() += 1;
                }
            }
        }
    }
    told("recombined", &refused);
    assert!(!refused.contains_key("none"));
}

/// Whoever knows two keys can make a ciphertext that AES-GCM opens under both (Dodis, Grubbs,
/// Ristenpart, Woodage 2018): the tag is linear in each block of the ciphertext, so one block can be
/// chosen to suit both. The commitment is what refuses it.
#[test]
fn what_gcm_opens_under_two_keys_is_refused() {
    let mut rng = Rng::with_seed(3);
    let (mut under_both, mut accepted) = (0, 0);
    for number in 0..1000 {
        let first = Sealed::new(&mut rng, 1, 32);
        let bytes = under_two_keys(&first, [1, 2]);
        let aad = [&bytes[..COMMITTED], first.context.bytes()].concat();
        let gcm = [1, 2].map(|with| {
            let (aes_key, _) = keys(with, &bytes[..SALTED], &first.context);
            gcm_opens(&aes_key, &bytes[COMMITTED..IV_END], &aad, &bytes[IV_END..])
        });
        under_both += usize::from(gcm == [true, true]);
        assert_eq!(gcm, [true, true], "number {number} is no collision");
        // It commits to the first key, of which it is an honest ciphertext.
        assert!(opens(&material(1), &first.context, &bytes));
        accepted += usize::from(opens(&material(2), &first.context, &bytes));
    }
    println!(
        "AES-GCM opens {under_both} of 1000 under two keys; accepted under the second: {accepted}"
    );
    assert_eq!(accepted, if UNCHECKED { 1000 } else { 0 });
}

/// A ciphertext whose tag is right under the message keys of both materials, and whose commitment
/// is that of the first.
fn under_two_keys(like: &Sealed, with: [u8; 2]) -> Vec<u8> {
    let mut bytes = like.bytes[..IV_END].to_vec();
    let aad = [&bytes[..COMMITTED], like.context.bytes()].concat();
    let iv: [u8; 12] = bytes[COMMITTED..IV_END].try_into().unwrap();
    let block = |at: usize| u128::from_be_bytes(like.bytes[at..at + 16].try_into().unwrap());
    let (free, lengths) = (block(IV_END), (aad.len() as u128 * 8) << 64 | 256);
    // For each key: its GHASH key, and the tag that the ciphertext has with a zero second block.
    let [(h1, t1), (h2, t2)] = with.map(|with| {
        let (aes_key, _) = keys(with, &bytes[..SALTED], &like.context);
        let hash = aes(&aes_key, [0; 16]);
        let mut counter = [0; 16];
        counter[..12].copy_from_slice(&iv);
        counter[15] = 1;
        let blocks = aad.chunks(16).map(padded).chain([free, 0, lengths]);
        let sum = blocks.fold(0, |sum, block| times(sum ^ block, hash));
        (hash, sum ^ aes(&aes_key, counter))
    });
    // t1 ^ x * h1^2 = t2 ^ x * h2^2
    let second = times(t1 ^ t2, inverse(times(h1, h1) ^ times(h2, h2)));
    let tag = t1 ^ times(second, times(h1, h1));
    for block in [free, second, tag] {
        bytes.extend_from_slice(&block.to_be_bytes());
    }
    bytes
}

fn padded(chunk: &[u8]) -> u128 {
    let mut block = [0; 16];
    block[..chunk.len()].copy_from_slice(chunk);
    u128::from_be_bytes(block)
}

/// One block under AES: the first block of a counter mode's key stream.
fn aes(key: &[u8], block: [u8; 16]) -> u128 {
    let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_256, key).unwrap()).unwrap();
    let mut stream = [0; 16];
    let context = EncryptionContext::Iv128(FixedLength::from(block));
    key.less_safe_encrypt(&mut stream, context).unwrap();
    u128::from_be_bytes(stream)
}

/// The product in GF(2^128) as GCM has it (NIST SP 800-38D, section 6.3).
fn times(x: u128, y: u128) -> u128 {
    let (mut product, mut power) = (0, y);
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            product ^= power;
        }
        let carry = power & 1;
        power = (power >> 1) ^ ((0xe1 << 120) * carry);
    }
    product
}

/// The inverse, which is the power 2^128 - 2.
fn inverse(x: u128) -> u128 {
    let (mut power, mut product) = (x, None);
    for _ in 1..128 {
        power = times(power, power);
        product = Some(product.map_or(power, |product| times(product, power)));
    }
    product.unwrap()
}

#[test]
fn the_field_is_a_field() {
    let mut rng = Rng::with_seed(4);
    let one = 1 << 127;
    for _ in 0..100 {
        let x = rng.u128(1..);
        assert_eq!(times(x, one), x);
        assert_eq!(times(x, inverse(x)), one);
    }
}
