//! Keys, signatures and ciphertexts that are none: refused, whatever they are, and never a panic.

use std::sync::LazyLock;

use keystead_crypto::material::{KeyMaterial, MaterialError};
use keystead_crypto::public::PublicKey;
use keystead_crypto::{OperationError, spec, wrap};
use keystead_types::{
    EncapsulationAlgorithm, EncryptionAlgorithm, KeyAgreementAlgorithm, KeySpec, MessageType,
    SigningAlgorithm,
};
use proptest::prelude::*;

/// A P-256 key whose curve is described by its parameters, as OpenSSL does with
/// `-param_enc explicit`: in PKCS#8, and its public key.
const EXPLICIT_PRIVATE: &str = "308201790201003082010306072a8648ce3d02013081f7020101302c06072a8648ce3d0101022100\
    ffffffff00000001000000000000000000000000ffffffffffffffffffffffff305b0420ffffffff\
    00000001000000000000000000000000fffffffffffffffffffffffc04205ac635d8aa3a93e7b3eb\
    bd55769886bc651d06b0cc53b0f63bce3c3e27d2604b031500c49d360886e704936a6678e1139d26\
    b7819f7e900441046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
    4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5022100ffffffff00\
    000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551020101046d306b0201010420af\
    769818f6ede276505880e0cebb5d282755c2e26520323e923a2d713c3e21e1a14403420004ac7ca7\
    2a60fc9c5b8aa2f98c4d6a556045bcbfb0addad8e755b8ddb1ffe290ecf6caf82dbf1fee026ab73d\
    53cbddf4df3e2d6605225b411b7f73fc4f4a02e39e";
const EXPLICIT_PUBLIC: &str = "3082014b3082010306072a8648ce3d02013081f7020101302c06072a8648ce3d0101022100ffffff\
    ff00000001000000000000000000000000ffffffffffffffffffffffff305b0420ffffffff000000\
    01000000000000000000000000fffffffffffffffffffffffc04205ac635d8aa3a93e7b3ebbd5576\
    9886bc651d06b0cc53b0f63bce3c3e27d2604b031500c49d360886e704936a6678e1139d26b7819f\
    7e900441046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342\
    e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5022100ffffffff00000000\
    ffffffffffffffffbce6faada7179e84f3b9cac2fc63255102010103420004ac7ca72a60fc9c5b8a\
    a2f98c4d6a556045bcbfb0addad8e755b8ddb1ffe290ecf6caf82dbf1fee026ab73d53cbddf4df3e\
    2d6605225b411b7f73fc4f4a02e39e";

/// One material of each spec that is quick to make, and one RSA key.
static MATERIALS: LazyLock<Vec<KeyMaterial>> = LazyLock::new(|| {
    let slow = [KeySpec::Rsa3072, KeySpec::Rsa4096];
    let specs = KeySpec::ALL.iter().filter(|spec| !slow.contains(spec));
    specs.filter_map(|&spec| KeyMaterial::generate(spec).ok()).collect()
});

#[test]
fn curves_must_be_named() {
    let spec = KeySpec::EccNistP256;
    let private = hex::decode(EXPLICIT_PRIVATE).unwrap();
    let public = hex::decode(EXPLICIT_PUBLIC).unwrap();
    assert_eq!(KeyMaterial::import(spec, &private).unwrap_err(), MaterialError::Malformed);
    let invalid = OperationError::InvalidPublicKey;
    assert_eq!(PublicKey::parse(spec, &public).unwrap_err(), invalid);
    let material = MATERIALS.iter().find(|material| material.spec() == spec).unwrap();
    assert_eq!(material.agree(KeyAgreementAlgorithm::Ecdh, &public).unwrap_err(), invalid);
}

/// Bytes that are not quite a key.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let keys: Vec<Vec<u8>> = MATERIALS
        .iter()
        .flat_map(|material| {
            let public = material.public_key().map(|key| key.der().to_vec());
            [Some(material.encode()[1..].to_vec()), public].into_iter().flatten()
        })
        .collect();
    let damaged = (prop::sample::select(keys), any::<prop::sample::Index>(), 1..=255u8).prop_map(
        |(mut key, at, change)| {
            let at = at.index(key.len());
            key[at] ^= change;
            key
        },
    );
    prop_oneof![prop::collection::vec(any::<u8>(), 0..300), damaged]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_bytes_make_a_panic(bytes in bytes(), kind in 0..9u8) {
        for &spec in KeySpec::ALL {
            if let Ok(key) = PublicKey::parse(spec, &bytes) {
                prop_assert_eq!(key.der(), &bytes[..]);
                let _ = key.encapsulate(EncapsulationAlgorithm::MlKem);
                let _ = key.encrypt(EncryptionAlgorithm::RsaesOaepSha256, b"x");
            }
            let _ = KeyMaterial::import(spec, &bytes);
            let encoded = [&[kind], &bytes[..]].concat();
            if let Ok(material) = KeyMaterial::decode(spec, &encoded) {
                prop_assert_eq!(&*material.encode(), &encoded);
            }
        }
        let _ = wrap::unwrap_padded(&[7; 32], &bytes);
        for material in MATERIALS.iter() {
            let _ = material.agree(KeyAgreementAlgorithm::Ecdh, &bytes);
            let _ = material.decrypt(EncryptionAlgorithm::RsaesOaepSha256, &bytes);
            let _ = material.decapsulate(EncapsulationAlgorithm::MlKem, &bytes);
            for &algorithm in SigningAlgorithm::ALL {
                let entry = spec::of(material.spec()).signing(algorithm);
                for message in entry.map_or(&[][..], |entry| entry.messages) {
                    let input = vec![7; message.length.unwrap_or(10)];
                    let verified = material.verify(algorithm, message.message_type, &input, &bytes);
                    prop_assert_eq!(verified, Err(OperationError::InvalidSignature));
                }
                let _ = material.verify(algorithm, MessageType::Digest, &bytes, &bytes);
            }
        }
    }
}
