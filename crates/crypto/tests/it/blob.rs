use std::collections::BTreeMap;
use std::iter;
use std::ops::Range;

use keystead_crypto::OpenError;
use keystead_crypto::blob::{self, EncryptError, MAX_PLAINTEXT, OVERHEAD, ParsedBlob};
use keystead_crypto::context::CanonicalContext;
use keystead_types::{KeyId, KeySpec, MaterialId};
use proptest::prelude::*;

use crate::reference::Message;
use crate::{context, damaged, material};

const KEY: [u8; 16] = [0x11; 16];
const LABEL: &str = "keystead.v1.sym";

const FIELDS: [Range<usize>; 6] = [4..20, 20..36, 36..60, 60..92, 92..104, 104..109];

fn encrypt(with: u8, key_id: KeyId, context: &CanonicalContext, plaintext: &[u8]) -> Vec<u8> {
    let material = material(with);
    let id = material.id(&key_id, KeySpec::SymmetricDefault).unwrap();
    blob::encrypt(&material, &key_id, &id, context, plaintext).unwrap()
}

fn decrypt(with: u8, context: &CanonicalContext, bytes: &[u8]) -> Result<Vec<u8>, OpenError> {
    let opened = blob::decrypt(&material(with), &ParsedBlob::parse(bytes)?, context)?;
    Ok(opened.to_vec())
}

#[test]
fn opens_and_names_its_key() {
    for multi_region in [false, true] {
        let key_id = KeyId::new(KEY, multi_region);
        let id = material(1).id(&key_id, KeySpec::SymmetricDefault).unwrap();
        for len in [1, 32, MAX_PLAINTEXT] {
            let plaintext = vec![0x5a; len];
            let bytes = encrypt(1, key_id, &context(&[("a", "b")]), &plaintext);
            assert_eq!(bytes.len(), len + 120);
            let parsed = ParsedBlob::parse(&bytes).unwrap();
            assert_eq!(parsed.key_id(), key_id);
            assert_eq!(parsed.material_id_prefix()[..], id.bytes()[..16]);
            assert_eq!(decrypt(1, &context(&[("a", "b")]), &bytes), Ok(plaintext));
        }
    }
}

#[test]
fn lengths_outside_the_limits_are_refused() {
    let (key_id, id) = (KeyId::new(KEY, false), MaterialId::new([2; 32]));
    for plaintext in [vec![], vec![0; MAX_PLAINTEXT + 1]] {
        let result =
            blob::encrypt(&material(1), &key_id, &id, &CanonicalContext::empty(), &plaintext);
        assert_eq!(result, Err(EncryptError::Length));
    }
    let mut bytes = encrypt(1, key_id, &CanonicalContext::empty(), &[0; MAX_PLAINTEXT]);
    bytes.push(0);
    assert!(ParsedBlob::parse(&bytes).is_err());
    assert!(ParsedBlob::parse(&bytes[..OVERHEAD]).is_err());
    assert!(ParsedBlob::parse(&bytes[..=OVERHEAD]).is_ok());
}

#[test]
fn every_change_is_refused() {
    let context = context(&[("purpose", "test"), ("", "")]);
    let original = encrypt(1, KeyId::new(KEY, true), &context, b"the plaintext");
    assert!(decrypt(1, &context, &original).is_ok());
    for bytes in damaged(&original) {
        assert_eq!(decrypt(1, &context, &bytes), Err(OpenError));
    }
}

#[test]
fn unknown_versions_suites_and_flags_are_no_ciphertexts() {
    let original = encrypt(1, KeyId::new(KEY, false), &CanonicalContext::empty(), b"plain");
    for (offset, right) in [(0, 0x4b..=0x4b), (1, 1..=1), (2, 0..=1), (3, 0..=0)] {
        for value in 0..=255 {
            let mut bytes = original.clone();
            bytes[offset] = value;
            assert_eq!(ParsedBlob::parse(&bytes).is_ok(), right.contains(&value));
        }
    }
}

#[test]
fn fields_of_two_ciphertexts_cannot_be_exchanged() {
    let context = context(&[("a", "b")]);
    // Two of one key and one of another, all of the same material.
    let blobs =
        [KEY, KEY, [0x22; 16]].map(|id| encrypt(1, KeyId::new(id, false), &context, b"plain"));
    for one in &blobs {
        for other in &blobs {
            for field in FIELDS.into_iter().chain(iter::once(109..one.len())) {
                let mut bytes = one.clone();
                bytes[field.clone()].copy_from_slice(&other[field]);
                assert_eq!(decrypt(1, &context, &bytes).is_ok(), bytes == *one);
            }
        }
    }
}

#[test]
fn another_material_or_context_is_refused() {
    let right = context(&[("a", "b")]);
    let bytes = encrypt(1, KeyId::new(KEY, false), &right, b"plain");
    assert_eq!(decrypt(2, &right, &bytes), Err(OpenError));
    let wrong: [&[(&str, &str)]; 6] = [
        &[],
        &[("a", "B")],
        &[("A", "b")],
        &[("ab", "")],
        &[("a", "b"), ("", "")],
        &[("a", "b "), ("c", "d")],
    ];
    for pairs in wrong {
        assert_eq!(decrypt(1, &context(pairs), &bytes), Err(OpenError), "{pairs:?}");
    }
}

#[test]
fn agrees_with_the_description() {
    let context = context(&[("a", "b")]);
    let bytes = encrypt(1, KeyId::new(KEY, false), &context, b"plain");
    let reference = Message {
        key: &[1; 32],
        label: LABEL,
        salted_header: &bytes[..60],
        bound: context.bytes(),
        iv: bytes[92..104].try_into().unwrap(),
        plaintext: b"plain",
    };
    assert_eq!(hex::encode(reference.seal()), hex::encode(&bytes));
}

/// The tag alone would let this one pass: only the commitment tells.
#[test]
fn a_right_tag_with_a_wrong_commitment_is_refused() {
    let context = context(&[("a", "b")]);
    let bytes = encrypt(1, KeyId::new(KEY, false), &context, b"plain");
    let forged = Message {
        key: &[1; 32],
        label: LABEL,
        salted_header: &bytes[..60],
        bound: context.bytes(),
        iv: [9; 12],
        plaintext: b"forged",
    };
    assert_eq!(decrypt(1, &context, &forged.seal()), Ok(b"forged".to_vec()));
    for byte in 0..32 {
        let mut commitment = bytes[60..92].to_vec();
        commitment[byte] ^= 1;
        assert_eq!(decrypt(1, &context, &forged.seal_claiming(&commitment)), Err(OpenError));
    }
}

#[test]
fn equal_plaintexts_give_different_ciphertexts() {
    let key_id = KeyId::new(KEY, false);
    let [one, two] = [1, 1].map(|with| encrypt(with, key_id, &CanonicalContext::empty(), b"plain"));
    for field in FIELDS.into_iter().skip(2) {
        assert_ne!(one[field.clone()], two[field]);
    }
}

/// Few letters, so that equal concatenations and equal contexts are common.
fn small_context() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[ab\u{0}]{0,2}", "[ab\u{0}]{0,2}", 0..3)
}

proptest! {
    #[test]
    fn opens_with_the_same_context_only(
        sealed in small_context(),
        tried in small_context(),
        plaintext in proptest::collection::vec(any::<u8>(), 1..100),
    ) {
        let sealed_with = CanonicalContext::from_map(&sealed).unwrap();
        let tried_with = CanonicalContext::from_map(&tried).unwrap();
        let bytes = encrypt(1, KeyId::new(KEY, false), &sealed_with, &plaintext);
        let opened = decrypt(1, &tried_with, &bytes);
        prop_assert_eq!(opened, if sealed == tried { Ok(plaintext) } else { Err(OpenError) });
    }

    #[test]
    fn no_input_is_too_strange_to_refuse(mut bytes: Vec<u8>, header in any::<bool>()) {
        if header && bytes.len() >= 4 {
            bytes[..4].copy_from_slice(&[0x4b, 1, 0, 0]);
            bytes.resize(bytes.len() + 121, 0);
        }
        prop_assert!(decrypt(1, &CanonicalContext::empty(), &bytes).is_err());
    }
}
