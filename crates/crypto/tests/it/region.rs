//! Regions' identities and letters.

use keystead_crypto::region::{Receiver, RegionIdentity, RegionKeys, seal_letter};

#[test]
fn a_statement_counts_for_its_region_label_and_text_only() {
    let identity = RegionIdentity::generate().unwrap();
    let identity = RegionIdentity::decode(&identity.encode().unwrap()).unwrap();
    let keys = RegionKeys::parse(&identity.public().unwrap()).unwrap();
    let signature = identity.sign("label", b"statement").unwrap();
    keys.verify("label", b"statement", &signature).unwrap();

    let other = RegionIdentity::generate().unwrap();
    let stranger = RegionKeys::parse(&other.public().unwrap()).unwrap();
    assert!(stranger.verify("label", b"statement", &signature).is_err());
    assert!(keys.verify("labels", b"tatement", &signature).is_err());
    assert!(keys.verify("label", b"statemen", &signature).is_err());
}

#[test]
fn both_signatures_are_needed() {
    let identity = RegionIdentity::generate().unwrap();
    let keys = RegionKeys::parse(&identity.public().unwrap()).unwrap();
    let good = identity.sign("label", b"statement").unwrap();
    let bad = identity.sign("label", b"other").unwrap();
    let parts = |signature: &[u8]| {
        let len = 2 + usize::from(u16::from_be_bytes([signature[0], signature[1]]));
        (signature[..len].to_vec(), signature[len..].to_vec())
    };
    let ((ecdsa, ml_dsa), (bad_ecdsa, bad_ml_dsa)) = (parts(&good), parts(&bad));
    keys.verify("label", b"statement", &[&ecdsa[..], &ml_dsa].concat()).unwrap();
    for mixed in [[&ecdsa[..], &bad_ml_dsa], [&bad_ecdsa[..], &ml_dsa], [&ecdsa[..], b""]] {
        assert!(keys.verify("label", b"statement", &mixed.concat()).is_err());
    }
}

#[test]
fn a_letter_opens_for_its_receiver_and_purpose_only() {
    let receiver = Receiver::generate().unwrap();
    let letter = seal_letter(receiver.public(), b"bound", b"for your eyes").unwrap();
    let other = Receiver::generate().unwrap();
    assert!(other.open(b"bound", &letter).is_err());
    assert_eq!(&**receiver.open(b"bound", &letter).unwrap(), b"for your eyes");

    let receiver = Receiver::generate().unwrap();
    let letter = seal_letter(receiver.public(), b"bound", b"for your eyes").unwrap();
    assert!(receiver.open(b"other", &letter).is_err());
}

#[test]
fn no_altered_letter_opens() {
    let whole = seal_letter(Receiver::generate().unwrap().public(), b"", b"text").unwrap();
    // Keys are for one letter: each bit has its own.
    for at in (0..whole.len()).step_by(23) {
        let receiver = Receiver::generate().unwrap();
        let mut letter = seal_letter(receiver.public(), b"", b"text").unwrap();
        letter[at] ^= 1 << (at % 8);
        assert!(receiver.open(b"", &letter).is_err(), "byte {at}");
    }
    for len in (0..whole.len()).step_by(97) {
        let receiver = Receiver::generate().unwrap();
        let letter = seal_letter(receiver.public(), b"", b"text").unwrap();
        assert!(receiver.open(b"", &letter[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn what_is_no_key_is_refused() {
    assert!(RegionKeys::parse(b"").is_err());
    assert!(RegionKeys::parse(&[0, 5, 1, 2]).is_err());
    assert!(RegionIdentity::decode(&[0, 0]).is_err());
    assert!(seal_letter(&[0xff; 40], b"", b"text").is_err());
    let keys = Receiver::generate().unwrap();
    assert!(seal_letter(&keys.public()[..keys.public().len() - 1], b"", b"text").is_err());
}
