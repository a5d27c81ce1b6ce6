use keystead_crypto::keyring::{DomainKey, Keyring, Purpose, RootKey, WrapError};
use keystead_crypto::material::{KeyMaterial, MaterialBinding};
use keystead_types::{AccountId, KeyId, KeySpec, KeyUsage, MaterialId, Origin};

use crate::{damaged, material};

fn keyring() -> Keyring {
    let keyring = Keyring::new(&RootKey::generate().unwrap()).unwrap();
    add_epoch(&keyring, 1);
    keyring
}

fn add_epoch(keyring: &Keyring, epoch: u32) {
    let domain = DomainKey::generate(epoch).unwrap();
    let wrapped = keyring.wrap_domain_key(&domain).unwrap();
    keyring.add_domain_key(epoch, &wrapped).unwrap();
}

fn binding() -> MaterialBinding {
    MaterialBinding {
        account: AccountId::from_number(111_122_223_333).unwrap(),
        key_id: KeyId::new([1; 16], false),
        material_id: MaterialId::new([2; 32]),
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: Origin::AwsKms,
    }
}

fn bytes_of(material: &KeyMaterial) -> [u8; 32] {
    *material.symmetric().unwrap().expose()
}

#[test]
fn values_open_for_their_purpose_and_place_only() {
    let keyring = keyring();
    for purpose in Purpose::ALL {
        let sealed = keyring.seal_value(purpose, b"row", b"value").unwrap();
        for other in Purpose::ALL {
            let opened = keyring.open_value(other, b"row", &sealed);
            assert_eq!(opened.is_ok(), other == purpose);
        }
        assert_eq!(keyring.open_value(purpose, b"row", &sealed).unwrap().as_slice(), b"value");
        assert!(keyring.open_value(purpose, b"row2", &sealed).is_err());
        assert!(self::keyring().open_value(purpose, b"row", &sealed).is_err());
    }
}

#[test]
fn all_nodes_with_the_root_key_read_the_same() {
    let root = RootKey::generate().unwrap();
    let [one, two] = [&root, &root].map(|root| Keyring::new(root).unwrap());
    let domain = one.wrap_domain_key(&DomainKey::generate(1).unwrap()).unwrap();
    for keyring in [&one, &two] {
        keyring.add_domain_key(1, &domain).unwrap();
    }
    let wrapped = one.wrap_material(&binding(), &material(3)).unwrap();
    assert_eq!(bytes_of(&two.unwrap_material(&binding(), &wrapped).unwrap()), [3; 32]);
    let sealed = two.seal_value(Purpose::Token, b"", b"value").unwrap();
    assert!(one.open_value(Purpose::Token, b"", &sealed).is_ok());
}

#[test]
fn the_latest_epoch_wraps_and_all_unwrap() {
    let keyring = keyring();
    let old = keyring.wrap_material(&binding(), &material(1)).unwrap();
    add_epoch(&keyring, 9);
    add_epoch(&keyring, 4);
    assert_eq!(keyring.current_epoch(), Some(9));
    let new = keyring.wrap_material(&binding(), &material(2)).unwrap();
    assert_eq!((old[7], new[7]), (1, 9));
    assert_eq!(bytes_of(&keyring.unwrap_material(&binding(), &old).unwrap()), [1; 32]);
    assert_eq!(bytes_of(&keyring.unwrap_material(&binding(), &new).unwrap()), [2; 32]);
}

#[test]
fn without_a_domain_key_nothing_is_wrapped() {
    let keyring = Keyring::new(&RootKey::generate().unwrap()).unwrap();
    assert_eq!(keyring.wrap_material(&binding(), &material(1)), Err(WrapError::NoDomainKey));
    assert_eq!(keyring.current_epoch(), None);
    let wrapped = self::keyring().wrap_material(&binding(), &material(1)).unwrap();
    assert!(keyring.unwrap_material(&binding(), &wrapped).is_err());
}

#[test]
fn a_domain_key_of_another_epoch_or_root_is_refused() {
    let keyring = keyring();
    let wrapped = keyring.wrap_domain_key(&DomainKey::generate(2).unwrap()).unwrap();
    assert!(keyring.add_domain_key(3, &wrapped).is_err());
    let mut renumbered = wrapped.clone();
    renumbered[7] = 3;
    assert!(keyring.add_domain_key(3, &renumbered).is_err());
    assert!(self::keyring().add_domain_key(2, &wrapped).is_err());
    assert_eq!(keyring.current_epoch(), Some(1));
}

#[test]
fn every_change_to_a_wrap_is_refused() {
    let keyring = keyring();
    let original = keyring.wrap_material(&binding(), &material(1)).unwrap();
    for bytes in damaged(&original) {
        assert!(keyring.unwrap_material(&binding(), &bytes).is_err());
    }
}

#[test]
fn material_is_bound_to_each_attribute_of_its_key() {
    let keyring = keyring();
    let right = binding();
    let wrapped = keyring.wrap_material(&right, &material(1)).unwrap();
    assert!(keyring.unwrap_material(&right, &wrapped).is_ok());
    let wrong = [
        MaterialBinding { account: AccountId::from_number(1).unwrap(), ..right },
        MaterialBinding { key_id: KeyId::new([9; 16], false), ..right },
        MaterialBinding { key_id: KeyId::new([1; 16], true), ..right },
        MaterialBinding { material_id: MaterialId::new([9; 32]), ..right },
        MaterialBinding { spec: KeySpec::Hmac256, ..right },
        MaterialBinding { usage: KeyUsage::GenerateVerifyMac, ..right },
        MaterialBinding { origin: Origin::External, ..right },
    ];
    for binding in wrong {
        assert!(keyring.unwrap_material(&binding, &wrapped).is_err(), "{binding:?}");
    }
}

#[test]
fn wraps_and_values_are_not_one_another() {
    let keyring = keyring();
    let domain = keyring.wrap_domain_key(&DomainKey::generate(0).unwrap()).unwrap();
    for purpose in Purpose::ALL {
        assert!(keyring.open_value(purpose, b"", &domain).is_err());
        let sealed = keyring.seal_value(purpose, b"", &[1; 32]).unwrap();
        assert!(keyring.add_domain_key(0, &sealed).is_err());
    }
}

#[test]
fn debug_shows_no_secret() {
    let root = RootKey::generate().unwrap();
    assert_eq!(format!("{root:?}"), "RootKey(Key32(..))");
    assert_eq!(format!("{:?}", Keyring::new(&root).unwrap()), "Keyring(..)");
    let domain = DomainKey::generate(1).unwrap();
    assert_eq!(format!("{domain:?}"), "DomainKey { epoch: 1, key: Key32(..) }");
}
