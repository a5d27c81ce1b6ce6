//! The same algorithms in a second implementation, RustCrypto's, in both directions.

use k256::ecdsa::signature::{Signer as _, Verifier as _};
use k256::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey};
use keystead_crypto::material::{DataKeyPair, KeyMaterial};
use keystead_crypto::public::PublicKey;
use keystead_types::{EncapsulationAlgorithm, KeySpec, MessageType, SigningAlgorithm};
use ml_dsa::{MlDsa44, MlDsa65, MlDsa87, MlDsaParams};
use ml_kem::array::Array;
use ml_kem::{Decapsulate, MlKem512, MlKem768, MlKem1024};
use shake::{ExtendableOutput, Shake256, Update};

const MESSAGE: &[u8] = b"what is signed";

#[test]
fn ml_dsa() {
    check_ml_dsa::<MlDsa44>(KeySpec::MlDsa44);
    check_ml_dsa::<MlDsa65>(KeySpec::MlDsa65);
    check_ml_dsa::<MlDsa87>(KeySpec::MlDsa87);
}

fn check_ml_dsa<P: MlDsaParams>(spec: KeySpec)
where
    ml_dsa::VerifyingKey<P>: DecodePublicKey + EncodePublicKey,
{
    let algorithm = SigningAlgorithm::MlDsaShake256;
    let ours = KeyMaterial::generate(spec).unwrap();
    let public = ours.public_key().unwrap();

    // FIPS 204, algorithm 7, line 6, with an empty context.
    let raw = ml_dsa::VerifyingKey::<P>::from_public_key_der(public.der()).unwrap().encode();
    let mut mu = [0; 64];
    let mut hash = Shake256::default();
    hash.update(&shake256(&raw));
    hash.update(&[0, 0]);
    hash.update(MESSAGE);
    hash.finalize_xof_into(&mut mu);

    let theirs = ml_dsa::VerifyingKey::<P>::from_public_key_der(public.der()).unwrap();
    let read = |signature: Vec<u8>| ml_dsa::Signature::<P>::try_from(&signature[..]).unwrap();
    let signed = read(ours.sign(algorithm, MessageType::Raw, MESSAGE).unwrap());
    assert!(theirs.verify_with_context(MESSAGE, b"", &signed));
    assert!(!theirs.verify_with_context(b"another", b"", &signed));
    assert!(theirs.verify_mu(&mu.into(), &signed));
    let signed = read(ours.sign(algorithm, MessageType::ExternalMu, &mu).unwrap());
    assert!(theirs.verify_with_context(MESSAGE, b"", &signed));

    // Ours are randomised, as FIPS 204 recommends, in both ways.
    for (message_type, input) in [(MessageType::Raw, MESSAGE), (MessageType::ExternalMu, &mu)] {
        let sign = || ours.sign(algorithm, message_type, input).unwrap();
        assert_ne!(sign(), sign());
    }

    let seed: [u8; 32] = ours.encode()[1..].try_into().unwrap();
    let theirs = ml_dsa::ExpandedSigningKey::<P>::from_seed(&seed.into());
    let public_der = theirs.verifying_key().to_public_key_der().unwrap();
    assert_eq!(public_der.as_bytes(), public.der());
    for signed in
        [theirs.sign_deterministic(MESSAGE, b"").unwrap(), theirs.sign_mu_deterministic(&mu.into())]
    {
        let signed = signed.encode();
        assert_eq!(public.verify(algorithm, MessageType::Raw, MESSAGE, &signed), Ok(()));
        assert_eq!(public.verify(algorithm, MessageType::ExternalMu, &mu, &signed), Ok(()));
    }
    let with_context = theirs.sign_deterministic(MESSAGE, b"context").unwrap().encode();
    assert!(public.verify(algorithm, MessageType::Raw, MESSAGE, &with_context).is_err());
}

fn shake256(bytes: &[u8]) -> [u8; 64] {
    let mut output = [0; 64];
    let mut hash = Shake256::default();
    hash.update(bytes);
    hash.finalize_xof_into(&mut output);
    output
}

/// One parameter set: from a data key pair in PKCS#8 and back.
macro_rules! check_ml_kem {
    ($parameters:ty, $spec:expr) => {
        let algorithm = EncapsulationAlgorithm::MlKem;
        let pair = DataKeyPair::generate($spec).unwrap();
        let theirs = ml_kem::DecapsulationKey::<$parameters>::from_pkcs8_der(&pair.private_key);
        let theirs = theirs.unwrap();
        let public = theirs.encapsulation_key();
        assert_eq!(public.to_public_key_der().unwrap().as_bytes(), pair.public_key);

        // We encapsulate, they decapsulate; also what was not made for them, so that implicit
        // rejection is the same.
        let made = PublicKey::parse($spec, &pair.public_key).unwrap().encapsulate(algorithm);
        let made = made.unwrap();
        let ciphertext = Array::try_from(&made.ciphertext[..]).unwrap();
        assert_eq!(theirs.decapsulate(&ciphertext)[..], made.shared_secret[..]);

        // They encapsulate, we decapsulate.
        let seed = theirs.to_seed().unwrap();
        let kind = KeyMaterial::generate($spec).unwrap().encode()[0];
        let ours = KeyMaterial::decode($spec, &[&[kind], &seed[..]].concat()).unwrap();
        assert_eq!(ours.public_key().unwrap().der(), pair.public_key);
        let (mut ciphertext, secret) = public.encapsulate_deterministic(&Array([7; 32]));
        assert_eq!(ours.decapsulate(algorithm, &ciphertext).unwrap()[..], secret[..]);
        ciphertext[0] ^= 1;
        let rejected = ours.decapsulate(algorithm, &ciphertext).unwrap();
        assert_eq!(rejected[..], theirs.decapsulate(&ciphertext)[..]);
        assert_ne!(rejected[..], secret[..]);
    };
}

#[test]
fn ml_kem() {
    check_ml_kem!(MlKem512, KeySpec::MlKem512);
    check_ml_kem!(MlKem768, KeySpec::MlKem768);
    check_ml_kem!(MlKem1024, KeySpec::MlKem1024);
}

#[test]
fn ecdsa_on_secp256k1() {
    let (spec, algorithm) = (KeySpec::EccSecgP256k1, SigningAlgorithm::EcdsaSha256);
    let pair = DataKeyPair::generate(spec).unwrap();
    let ours = KeyMaterial::import(spec, &pair.private_key).unwrap();
    let theirs = k256::ecdsa::SigningKey::from_pkcs8_der(&pair.private_key).unwrap();
    let public = theirs.verifying_key().to_public_key_der().unwrap();
    assert_eq!(public.as_bytes(), pair.public_key);

    let signed: k256::ecdsa::DerSignature = theirs.sign(MESSAGE);
    assert_eq!(ours.verify(algorithm, MessageType::Raw, MESSAGE, signed.as_bytes()), Ok(()));
    // They take only the smaller of the two values of s; AWS KMS gives either.
    let mut high = 0;
    for _ in 0..32 {
        let signed = ours.sign(algorithm, MessageType::Raw, MESSAGE).unwrap();
        let signed = k256::ecdsa::Signature::from_der(&signed).unwrap();
        let normal = signed.normalize_s();
        high += u32::from(normal != signed);
        theirs.verifying_key().verify(MESSAGE, &normal).unwrap();
    }
    assert!(high > 0, "s is not made small");
}
