use keystead_crypto::OpenError;
use keystead_crypto::envelope::{self, Label, OVERHEAD};

use crate::reference::Message;
use crate::{damaged, key};

const LABELS: [Label; 4] = [Label::Root, Label::DomainKey, Label::Material, Label::Value];

#[test]
fn opens_with_its_own_key_label_and_binding_only() {
    for label in LABELS {
        let sealed = envelope::seal(label, &key(1), 7, b"place", b"value").unwrap();
        assert_eq!(sealed.len(), 5 + OVERHEAD);
        assert_eq!(OVERHEAD, 92);
        assert_eq!(envelope::epoch(&sealed), Ok(7));
        let opened = envelope::open(label, &key(1), b"place", &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"value");
        assert!(envelope::open(label, &key(2), b"place", &sealed).is_err());
        for binding in [&b""[..], b"plac", b"place2", b"Place"] {
            assert!(envelope::open(label, &key(1), binding, &sealed).is_err());
        }
        for other in LABELS.into_iter().filter(|other| *other != label) {
            assert!(envelope::open(other, &key(1), b"place", &sealed).is_err());
        }
    }
}

#[test]
fn empty_and_large_values_are_fine() {
    for len in [0, 1, 1 << 20] {
        let sealed = envelope::seal(Label::Value, &key(1), 0, b"", &vec![3; len]).unwrap();
        let opened = envelope::open(Label::Value, &key(1), b"", &sealed).unwrap();
        assert_eq!(opened.as_slice(), vec![3; len]);
    }
}

#[test]
fn every_change_is_refused() {
    let original = envelope::seal(Label::Value, &key(1), 1, b"place", b"value").unwrap();
    for bytes in damaged(&original) {
        let result = envelope::open(Label::Value, &key(1), b"place", &bytes);
        assert_eq!(result.unwrap_err(), OpenError);
    }
}

#[test]
fn agrees_with_the_description_and_checks_the_commitment() {
    let sealed = envelope::seal(Label::Value, &key(1), 5, b"place", b"value").unwrap();
    assert_eq!(sealed[..8], [0x57, 1, 0, 0, 0, 0, 0, 5]);
    let reference = Message {
        key: &[1; 32],
        label: "keystead.v1.value",
        salted_header: &sealed[..32],
        bound: b"place",
        iv: sealed[64..76].try_into().unwrap(),
        plaintext: b"value",
    };
    assert_eq!(hex::encode(reference.seal()), hex::encode(&sealed));
    let forged = reference.seal_claiming(&[0; 32]);
    assert!(envelope::open(Label::Value, &key(1), b"place", &forged).is_err());
}
