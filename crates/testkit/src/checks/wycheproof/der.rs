//! Keys of elliptic curves in DER, from the numbers that the vectors give.

use keystead_types::KeySpec;

const ID_EC_PUBLIC_KEY: &[u8] = &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// A curve, the bytes of its field, and its object identifier.
pub(super) struct Curve {
    pub(super) spec: KeySpec,
    field: usize,
    oid: &'static [u8],
}

pub(super) const P256: Curve = Curve {
    spec: KeySpec::EccNistP256,
    field: 32,
    oid: &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
};
pub(super) const P384: Curve =
    Curve { spec: KeySpec::EccNistP384, field: 48, oid: &[0x06, 5, 0x2b, 0x81, 4, 0, 0x22] };
pub(super) const P521: Curve =
    Curve { spec: KeySpec::EccNistP521, field: 66, oid: &[0x06, 5, 0x2b, 0x81, 4, 0, 0x23] };

impl Curve {
    /// A private key without its public key. The vectors have numbers with zeros in front, and
    /// without.
    pub(super) fn pkcs8(&self, number: &[u8]) -> Vec<u8> {
        let zeros = number.iter().take_while(|&&byte| byte == 0).count();
        let number = &number[zeros..];
        let padded = [&vec![0; self.field.saturating_sub(number.len())][..], number].concat();
        let key = sequence(&[&[0x02, 1, 1][..], &tagged(OCTET_STRING, &padded)].concat());
        let key = tagged(OCTET_STRING, &key);
        sequence(&[&[0x02, 1, 0][..], &self.identifier(), &key].concat())
    }

    /// A SubjectPublicKeyInfo of a point.
    pub(super) fn public_key(&self, point: &[u8]) -> Vec<u8> {
        let bits = tagged(BIT_STRING, &[&[0], point].concat());
        sequence(&[self.identifier(), bits].concat())
    }

    fn identifier(&self) -> Vec<u8> {
        sequence(&[ID_EC_PUBLIC_KEY, self.oid].concat())
    }
}

fn sequence(contents: &[u8]) -> Vec<u8> {
    tagged(SEQUENCE, contents)
}

fn tagged(tag: u8, contents: &[u8]) -> Vec<u8> {
    let header = match contents.len().to_be_bytes() {
        [.., 0, len @ 0..=0x7f] => vec![tag, len],
        [.., 0, len] => vec![tag, 0x81, len],
        [.., high, low] => vec![tag, 0x82, high, low],
    };
    [&header, contents].concat()
}
