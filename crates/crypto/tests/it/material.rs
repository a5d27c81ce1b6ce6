//! Every kind of material, with every algorithm that the table of specs says it has.

use std::sync::LazyLock;

use keystead_crypto::material::{DataKeyPair, KeyMaterial, MaterialError};
use keystead_crypto::public::PublicKey;
use keystead_crypto::spec::{self, Use};
use keystead_crypto::{OpenError, OperationError, digest};
use keystead_types::{
    EncapsulationAlgorithm, EncryptionAlgorithm, KeyAgreementAlgorithm, KeyId, KeySpec,
    MacAlgorithm, MessageType, SigningAlgorithm,
};

/// One material of each spec, made once because RSA keys take their time.
static MATERIALS: LazyLock<Vec<KeyMaterial>> = LazyLock::new(|| {
    let supported = KeySpec::ALL.iter().filter(|&&spec| spec::of(spec).supported());
    supported.map(|&spec| KeyMaterial::generate(spec).unwrap()).collect()
});

fn material(spec: KeySpec) -> &'static KeyMaterial {
    MATERIALS.iter().find(|material| material.spec() == spec).unwrap()
}

#[test]
fn encoded_material_is_read_back_as_its_own_spec_only() {
    let key_id = KeyId::new([1; 16], false);
    for material in MATERIALS.iter() {
        let encoded = material.encode();
        let spec = material.spec();
        let again = KeyMaterial::decode(spec, &encoded).unwrap();
        assert_eq!(again.encode(), encoded);
        assert_eq!(again.id(&key_id, spec).unwrap(), material.id(&key_id, spec).unwrap());
        assert_eq!(
            again.public_key().map(PublicKey::der),
            material.public_key().map(PublicKey::der)
        );
        for &other in KeySpec::ALL.iter().filter(|&&other| other != spec) {
            // Seeds and random bytes fit several specs; that the spec is right is for the binding.
            let same_form = KeyMaterial::decode(other, &encoded);
            assert!(same_form.is_err() || same_form.unwrap().encode() == encoded);
            assert_eq!(material.id(&key_id, other).unwrap_err(), MaterialError::Unsupported(other));
        }
        for damaged in
            [&encoded[..encoded.len() - 1], &encoded[1..], &[&encoded[..], &[0]].concat()]
        {
            // An HMAC key may have other lengths.
            if !matches!(material, KeyMaterial::Hmac(_)) {
                assert_eq!(KeyMaterial::decode(spec, damaged).unwrap_err(), OpenError, "{spec}");
            }
        }
    }
    assert_eq!(
        KeyMaterial::generate(KeySpec::Sm2).unwrap_err(),
        MaterialError::Unsupported(KeySpec::Sm2)
    );
}

#[test]
fn debug_shows_no_secret() {
    for material in MATERIALS.iter() {
        let shown = format!("{material:?}");
        assert!(shown.len() < 30 && shown.ends_with("(..))"), "{shown}");
    }
}

#[test]
fn public_keys_are_of_their_spec_only_and_in_one_form() {
    for material in MATERIALS.iter() {
        let spec = spec::of(material.spec());
        assert_eq!(material.public_key().is_some(), spec.public_key, "{spec:?}");
        let Some(key) = material.public_key() else { continue };
        for &other in KeySpec::ALL {
            let parsed = PublicKey::parse(other, key.der());
            assert_eq!(parsed.is_ok(), other == material.spec(), "{other}");
        }
        let longer = [key.der(), &[0]].concat();
        for bad in [&longer[..], &key.der()[..key.der().len() - 1], &key.der()[1..], b""] {
            assert_eq!(
                PublicKey::parse(material.spec(), bad).unwrap_err(),
                OperationError::InvalidPublicKey
            );
        }
    }
    // A bare point is a key for the library, but not here.
    let key = material(KeySpec::EccNistP256).public_key().unwrap();
    let point = &key.der()[key.der().len() - 65..];
    assert!(PublicKey::parse(KeySpec::EccNistP256, point).is_err());
}

#[test]
fn signatures_verify_as_the_table_says() {
    for material in MATERIALS.iter() {
        for &algorithm in SigningAlgorithm::ALL {
            for &message_type in MessageType::ALL {
                let entry = spec::of(material.spec()).signing(algorithm);
                match entry.and_then(|entry| Some((entry, entry.message(message_type)?))) {
                    Some((entry, message)) => {
                        let message = vec![7; message.length.unwrap_or(100)];
                        check_signature(material, entry, message_type, &message);
                    }
                    None => {
                        let signed = material.sign(algorithm, message_type, &[7; 64]);
                        assert_eq!(signed.unwrap_err(), OperationError::Unsupported);
                        let verified = material.verify(algorithm, message_type, &[7; 64], &[7; 64]);
                        assert_eq!(verified.unwrap_err(), OperationError::Unsupported);
                    }
                }
            }
        }
    }
}

fn check_signature(
    material: &KeyMaterial,
    entry: &spec::Signing,
    message_type: MessageType,
    message: &[u8],
) {
    let algorithm = entry.algorithm;
    let sign = |message| material.sign(algorithm, message_type, message);
    let signature = sign(message).unwrap();
    let ecdsa = matches!(material, KeyMaterial::Ec(_));
    assert!(signature.len() == entry.max_signature || ecdsa, "{algorithm}");
    assert!(signature.len() <= entry.max_signature);

    let key = PublicKey::parse(material.spec(), material.public_key().unwrap().der()).unwrap();
    let verify =
        |message: &[u8], signature: &[u8]| key.verify(algorithm, message_type, message, signature);
    assert_eq!(verify(message, &signature), Ok(()), "{algorithm} {message_type}");
    let invalid = Err(OperationError::InvalidSignature);
    let mut other = message.to_vec();
    other[0] ^= 1;
    assert_eq!(verify(&other, &signature), invalid);
    for byte in [0, signature.len() / 2, signature.len() - 1] {
        let mut damaged = signature.clone();
        damaged[byte] ^= 1;
        assert_eq!(verify(message, &damaged), invalid);
    }
    assert_eq!(verify(message, &[]), invalid);
    assert_eq!(verify(message, &signature[..signature.len() - 1]), invalid);
    assert_eq!(verify(message, &[&signature[..], &[0]].concat()), invalid);

    if entry.message(message_type).unwrap().length.is_some() {
        for wrong in [&message[1..], &[message, &[0]].concat(), b""] {
            assert_eq!(sign(wrong).unwrap_err(), OperationError::Length);
            assert_eq!(verify(wrong, &signature), Err(OperationError::Length));
        }
    } else {
        assert_eq!(verify(b"", &sign(b"").unwrap()), Ok(()));
    }
}

#[test]
fn a_message_and_its_digest_have_the_same_signatures() {
    let message = b"message";
    for (spec, algorithm) in [
        (KeySpec::Rsa2048, SigningAlgorithm::RsassaPkcs1V15Sha256),
        (KeySpec::Rsa2048, SigningAlgorithm::RsassaPssSha256),
        (KeySpec::EccNistP256, SigningAlgorithm::EcdsaSha256),
        (KeySpec::EccSecgP256k1, SigningAlgorithm::EcdsaSha256),
    ] {
        let material = material(spec);
        let digest = digest::sha256(message);
        let signed = material.sign(algorithm, MessageType::Raw, message).unwrap();
        material.verify(algorithm, MessageType::Digest, &digest, &signed).unwrap();
        let signed = material.sign(algorithm, MessageType::Digest, &digest).unwrap();
        material.verify(algorithm, MessageType::Raw, message, &signed).unwrap();
    }
}

#[test]
fn one_material_serves_many_threads() {
    // Fresh, so that what is parsed at the first use is asked for by all of them at once.
    let specs = [KeySpec::Rsa2048, KeySpec::EccNistP256, KeySpec::MlDsa44, KeySpec::MlKem512];
    for material in specs.map(|spec| KeyMaterial::generate(spec).unwrap()) {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10).for_each(|_| use_once(&material)));
            }
        });
    }
}

fn use_once(material: &KeyMaterial) {
    let der = material.public_key().unwrap().der();
    for entry in spec::of(material.spec()).uses {
        match entry {
            Use::EncryptDecrypt(all) => {
                let ciphertext = material.encrypt(all[0].algorithm, b"plaintext").unwrap();
                assert_eq!(*material.decrypt(all[0].algorithm, &ciphertext).unwrap(), b"plaintext");
            }
            Use::SignVerify(all) => {
                for message in all[0].messages {
                    let input = vec![7; message.length.unwrap_or(10)];
                    let (algorithm, message_type) = (all[0].algorithm, message.message_type);
                    let signed = material.sign(algorithm, message_type, &input).unwrap();
                    material.verify(algorithm, message_type, &input, &signed).unwrap();
                }
            }
            Use::KeyAgreement(all) => assert!(material.agree(all[0].algorithm, der).is_ok()),
            Use::EncapsulateDecapsulate(all) => {
                let made = material.encapsulate(all[0].algorithm).unwrap();
                let secret = material.decapsulate(all[0].algorithm, &made.ciphertext).unwrap();
                assert_eq!(secret, made.shared_secret);
            }
            Use::GenerateVerifyMac(_) => unreachable!("no MAC key is asked"),
        }
    }
}

#[test]
fn ed25519_and_ed25519ph_are_different_algorithms() {
    let material = material(KeySpec::EccNistEdwards25519);
    let (pure, hashed) = (SigningAlgorithm::Ed25519Sha512, SigningAlgorithm::Ed25519PhSha512);
    let signed = material.sign(hashed, MessageType::Digest, &[7; 64]).unwrap();
    assert!(material.verify(pure, MessageType::Raw, &[7; 64], &signed).is_err());
    let signed = material.sign(pure, MessageType::Raw, &[7; 64]).unwrap();
    assert!(material.verify(hashed, MessageType::Digest, &[7; 64], &signed).is_err());
}

#[test]
fn rsa_encrypts_up_to_the_length_that_the_table_says() {
    for material in MATERIALS.iter() {
        for &algorithm in EncryptionAlgorithm::ALL {
            let entry = spec::of(material.spec()).encryption(algorithm);
            let KeyMaterial::Rsa(_) = material else {
                assert!(material.encrypt(algorithm, b"x").is_err());
                assert!(material.decrypt(algorithm, &[0; 256]).is_err());
                continue;
            };
            let Some(entry) = entry else {
                let unsupported = OperationError::Unsupported;
                assert_eq!(material.encrypt(algorithm, b"x").unwrap_err(), unsupported);
                assert_eq!(material.decrypt(algorithm, &[0; 256]).unwrap_err(), unsupported);
                continue;
            };
            let longest = vec![7; entry.max_plaintext];
            for plaintext in [&b""[..], b"x", &longest] {
                let ciphertext = material.encrypt(algorithm, plaintext).unwrap();
                assert_eq!(ciphertext.len(), entry.max_ciphertext);
                assert_eq!(*material.decrypt(algorithm, &ciphertext).unwrap(), plaintext);
            }
            let longer = vec![7; entry.max_plaintext + 1];
            assert_eq!(material.encrypt(algorithm, &longer).unwrap_err(), OperationError::Length);
        }
    }
}

#[test]
fn every_bad_rsa_ciphertext_is_the_same_error() {
    let material = material(KeySpec::Rsa2048);
    let (sha1, sha256) = (EncryptionAlgorithm::RsaesOaepSha1, EncryptionAlgorithm::RsaesOaepSha256);
    let good = material.encrypt(sha256, b"plaintext").unwrap();
    let mut damaged = good.clone();
    damaged[255] ^= 1;
    let bad: [&[u8]; 6] =
        [&damaged, &[0; 256], &[0xff; 256], &good[1..], &[&good[..], &[0]].concat(), b""];
    for ciphertext in bad {
        assert_eq!(
            material.decrypt(sha256, ciphertext).unwrap_err(),
            OperationError::InvalidCiphertext
        );
    }
    assert_eq!(material.decrypt(sha1, &good).unwrap_err(), OperationError::InvalidCiphertext);
}

#[test]
fn macs_have_the_length_that_the_table_says_and_no_part_of_one_is_valid() {
    for material in MATERIALS.iter() {
        for &algorithm in MacAlgorithm::ALL {
            let Some(entry) = spec::of(material.spec()).mac(algorithm) else {
                let unsupported = OperationError::Unsupported;
                assert_eq!(material.mac(algorithm, b"").unwrap_err(), unsupported);
                assert_eq!(material.verify_mac(algorithm, b"", b"").unwrap_err(), unsupported);
                continue;
            };
            assert_eq!(material.encode().len(), 1 + entry.key);
            let mac = material.mac(algorithm, b"message").unwrap();
            assert_eq!(mac.len(), entry.mac);
            assert_eq!(material.verify_mac(algorithm, b"message", &mac), Ok(()));
            let invalid = Err(OperationError::InvalidMac);
            assert_eq!(material.verify_mac(algorithm, b"massage", &mac), invalid);
            for bad in crate::damaged(&mac) {
                assert_eq!(material.verify_mac(algorithm, b"message", &bad), invalid);
            }
        }
    }
}

#[test]
fn both_sides_agree_on_a_secret() {
    let ecdh = KeyAgreementAlgorithm::Ecdh;
    let public = |material: &KeyMaterial| material.public_key().unwrap().der().to_vec();
    for material in MATERIALS.iter() {
        let Some(entry) = spec::of(material.spec()).agreement(ecdh) else {
            assert_eq!(material.agree(ecdh, b"").unwrap_err(), OperationError::Unsupported);
            continue;
        };
        let peer = KeyMaterial::generate(material.spec()).unwrap();
        let secret = material.agree(ecdh, &public(&peer)).unwrap();
        assert_eq!(secret.len(), entry.shared_secret);
        assert_eq!(secret, peer.agree(ecdh, &public(material)).unwrap());

        let spki = public(&peer);
        let others = MATERIALS.iter().filter(|other| other.spec() != material.spec());
        let others = others.filter_map(|other| other.public_key()).map(|key| key.der().to_vec());
        let point = spki[spki.len() - 2 * entry.shared_secret - 1..].to_vec();
        for bad in others.chain([point, spki[..spki.len() - 1].to_vec(), Vec::new()]) {
            assert_eq!(material.agree(ecdh, &bad).unwrap_err(), OperationError::InvalidPublicKey);
        }
    }
}

#[test]
fn both_sides_have_the_encapsulated_secret_and_nobody_else() {
    let ml_kem = EncapsulationAlgorithm::MlKem;
    for material in MATERIALS.iter() {
        let Some(entry) = spec::of(material.spec()).encapsulation(ml_kem) else {
            assert_eq!(material.encapsulate(ml_kem).unwrap_err(), OperationError::Unsupported);
            assert_eq!(material.decapsulate(ml_kem, b"").unwrap_err(), OperationError::Unsupported);
            continue;
        };
        let made = material.encapsulate(ml_kem).unwrap();
        assert_eq!(made.ciphertext.len(), entry.ciphertext);
        assert_eq!(made.shared_secret.len(), entry.shared_secret);
        assert_eq!(material.decapsulate(ml_kem, &made.ciphertext).unwrap(), made.shared_secret);

        let other = KeyMaterial::generate(material.spec()).unwrap();
        let mut damaged = made.ciphertext.clone();
        damaged[0] ^= 1;
        let rejected = material.decapsulate(ml_kem, &damaged).unwrap();
        assert_ne!(rejected, made.shared_secret);
        assert_eq!(rejected, material.decapsulate(ml_kem, &damaged).unwrap());
        assert_ne!(other.decapsulate(ml_kem, &made.ciphertext).unwrap(), made.shared_secret);
        for wrong in [&damaged[1..], &[&damaged[..], &[0]].concat(), b""] {
            assert_eq!(
                material.decapsulate(ml_kem, wrong).unwrap_err(),
                OperationError::InvalidCiphertext
            );
        }
    }
}

#[test]
fn data_key_pairs_are_of_the_specs_that_the_table_says() {
    for &spec in KeySpec::ALL {
        // The large ones only take longer.
        if matches!(spec, KeySpec::Rsa3072 | KeySpec::Rsa4096) {
            continue;
        }
        if !spec::of(spec).data_key_pair {
            assert_eq!(DataKeyPair::generate(spec).unwrap_err(), MaterialError::Unsupported(spec));
            continue;
        }
        let pair = DataKeyPair::generate(spec).unwrap();
        assert_eq!(format!("{pair:?}"), "DataKeyPair(..)");
        PublicKey::parse(spec, &pair.public_key).unwrap();
        // A plaintext of Decrypt, and thus a private key, has at most 4,096 bytes.
        assert!(pair.private_key.len() < 4096);
    }
    // RFC 9935, section 6: the seed form is equally long for all three.
    let ml_kem = DataKeyPair::generate(KeySpec::MlKem1024).unwrap();
    assert_eq!(ml_kem.private_key.len(), 86);
}

#[test]
fn imported_material_is_that_of_the_pair() {
    for spec in [KeySpec::Rsa2048, KeySpec::EccNistP521, KeySpec::EccSecgP256k1] {
        let pair = DataKeyPair::generate(spec).unwrap();
        let imported = KeyMaterial::import(spec, &pair.private_key).unwrap();
        assert_eq!(imported.public_key().unwrap().der(), pair.public_key);
        let longer = [&pair.private_key[..], &[0]].concat();
        let other = if spec == KeySpec::Rsa2048 { KeySpec::Rsa3072 } else { KeySpec::EccNistP256 };
        for (spec, bytes) in [(spec, &longer[..]), (spec, b""), (other, &pair.private_key)] {
            assert_eq!(KeyMaterial::import(spec, bytes).unwrap_err(), MaterialError::Malformed);
        }
    }
    // For one key, the encoding does not matter; for HMAC, zeros at the end do.
    let spec = KeySpec::EccNistP256;
    let pair = DataKeyPair::generate(spec).unwrap();
    let id =
        |material: &KeyMaterial| material.id(&KeyId::new([1; 16], false), material.spec()).unwrap();
    let with_public = KeyMaterial::import(spec, &pair.private_key).unwrap();
    let without_public = KeyMaterial::import(spec, &without_public_key(&pair.private_key)).unwrap();
    assert_eq!(id(&with_public), id(&without_public));
    let hmac = |len| KeyMaterial::import(KeySpec::Hmac256, &vec![0; len]).unwrap();
    assert_ne!(id(&hmac(32)), id(&hmac(33)));

    let lengths = |spec: KeySpec, lengths: [usize; 4]| {
        lengths.map(|len| KeyMaterial::import(spec, &vec![1; len]).is_ok())
    };
    assert_eq!(lengths(KeySpec::SymmetricDefault, [0, 31, 32, 33]), [false, false, true, false]);
    assert_eq!(lengths(KeySpec::Hmac384, [47, 48, 128, 129]), [false, true, true, false]);
    let unsupported = Err(MaterialError::Unsupported(KeySpec::MlDsa44));
    assert_eq!(KeyMaterial::import(KeySpec::MlDsa44, &[1; 32]).map(|_| ()), unsupported);
}

/// PKCS#8 of a P-256 key without the public key, which stands at the end of the `ECPrivateKey`.
fn without_public_key(pkcs8: &[u8]) -> Vec<u8> {
    let len = |of: usize| pkcs8[of] - 70;
    let mut shorter = pkcs8[..pkcs8.len() - 70].to_vec();
    // SEQUENCE { INTEGER, AlgorithmIdentifier (21), OCTET STRING { SEQUENCE { .. } } }
    assert_eq!([shorter[0], shorter[1], shorter[27], shorter[29]], [0x30, 0x81, 0x04, 0x30]);
    (shorter[2], shorter[28], shorter[30]) = (len(2), len(28), len(30));
    // A length below 128 has one byte.
    shorter.remove(1);
    shorter
}
