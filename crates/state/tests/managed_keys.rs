//! AWS-managed keys: one for each account and service, and nobody changes it.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{self, ImportIntent, Reason};
use keystead_state::{Command, Key, Quotas};
use keystead_types::{KeyManager, KeySpec, KeyState, KeyUsage, Origin, UnixMillis};

const MINE: u64 = ACCOUNTS[0];
const OTHER: u64 = ACCOUNTS[1];

/// Key 1 is AWS-managed, key 3 is not and has "alias/a".
fn with_keys() -> Replica {
    let mut replica = Replica::initialised();
    assert_eq!(replica.run(create_managed_key(1, "s3")), created(1));
    assert_eq!(replica.run(create_key(3)), created(3));
    assert_eq!(replica.run(create_alias(MINE, "alias/a", 3)), done());
    replica
}

fn key(replica: &Replica, number: u8) -> Key {
    Key::clone(replica.view.key(&key_id(number)).unwrap())
}

/// The key of an alias.
fn target(replica: &Replica, owner: u64, name: &str) -> Option<keystead_types::KeyId> {
    replica.view.alias(account(owner), &alias_name(name)).map(|alias| alias.target)
}

#[test]
fn an_account_has_one_for_each_service() {
    let mut replica = Replica::initialised();
    assert_eq!(replica.run(create_managed_key(1, "s3")), created(1));
    let before = replica.rows();
    assert_eq!(replica.run(create_managed_key(3, "s3")), created(1), "the first one stays");
    assert!(replica.rows() == before);

    assert_eq!(replica.run(create_managed_key(3, "ebs")), created(3));
    let others = proto::CreateManagedKey { account: OTHER, ..managed_key(4, "s3") };
    assert_eq!(replica.run(Operation::CreateManagedKey(others)), created(4));
    for _ in 0..2 {
        assert_eq!(target(&replica, MINE, "alias/aws/s3"), Some(key_id(1)));
        assert_eq!(target(&replica, MINE, "alias/aws/ebs"), Some(key_id(3)));
        assert_eq!(target(&replica, OTHER, "alias/aws/s3"), Some(key_id(4)));
        assert_eq!(target(&replica, OTHER, "alias/aws/ebs"), None);
        replica.reload();
    }
}

#[test]
fn it_is_what_aws_makes() {
    let mut replica = Replica::initialised();
    replica.wait(5 * DAY);
    replica.run(create_managed_key(1, "s3"));
    let now = UnixMillis(START + 5 * DAY);
    let made = key(&replica, 1);
    assert_eq!((made.account, made.manager), (account(MINE), KeyManager::Aws));
    assert_eq!((made.spec, made.usage), (KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt));
    assert_eq!((made.origin, made.state), (Origin::AwsKms, KeyState::Enabled));
    assert_eq!((&*made.description, &*made.policy.text), ("protects s3", "{}"));
    assert_eq!((made.created, made.current().unwrap().created), (now, now));
    let rotation = made.rotation.as_ref().unwrap();
    assert_eq!((rotation.period_days, rotation.next), (365, now.plus(365 * DAY)));
    assert!(made.tags.is_empty() && made.multi_region.is_none() && made.deletion.is_none());
}

/// What only a key's account does to it, on key 1.
fn changes() -> Vec<Operation> {
    let key = || key_ref(1);
    let origin = Origin::External.code().into();
    vec![
        enable(1),
        disable(1),
        describe(1, "mine"),
        schedule(1, 7),
        cancel(1),
        tag(1, &[("a", "b")]),
        untag(1, &["a"]),
        create_alias(MINE, "alias/b", 1),
        update_alias(MINE, "alias/a", 1),
        enable_rotation(1, 90),
        disable_rotation(1),
        rotate(1, 10),
        Operation::PutKeyPolicy(proto::PutKeyPolicy {
            key: key(),
            policy: keystead_policy::default_key_policy(account(MINE)),
            lockout_check: None,
        }),
        Operation::ImportMaterial(proto::ImportMaterial {
            key: key(),
            material: Some(proto::MaterialRecord { origin, ..material(10) }),
            intent: ImportIntent::New.into(),
            description_given: false,
            token_expires_ms: u64::MAX,
        }),
        Operation::DeleteMaterial(proto::DeleteMaterial { key: key(), material_id: Vec::new() }),
    ]
}

#[test]
fn its_account_cannot_change_it() {
    let mut replica = with_keys();
    for operation in changes() {
        let before = replica.rows();
        let outcome = replica.run(operation.clone());
        assert_eq!(outcome, rejected(Reason::KeyAwsManaged), "{operation:?}");
        assert!(replica.rows() == before, "{operation:?}");
    }
    // Nor is it swept up, whatever somebody believes to be due.
    let before = replica.rows();
    replica.run(delete_due(&[1]));
    let keys = key_ref(1).into_iter().collect();
    replica.run(Operation::ExpireMaterials(proto::ExpireMaterials { keys }));
    assert_eq!(replica.run(rotate_due(&[(1, 10)])), rotated(&[]));
    assert!(replica.rows() == before);
}

#[test]
fn its_names_are_nobodys() {
    let mut replica = with_keys();
    let before = replica.rows();
    for name in ["alias/aws/s3", "alias/aws/sqs", "alias/aws/of/mine"] {
        for operation in [
            create_alias(MINE, name, 3),
            create_alias(MINE, name, 1),
            update_alias(MINE, name, 3),
            delete_alias(MINE, name),
        ] {
            let outcome = replica.run(operation.clone());
            assert_eq!(outcome, rejected(Reason::AliasReserved), "{operation:?}");
        }
    }
    assert!(replica.rows() == before);
    assert_eq!(replica.run(create_alias(MINE, "alias/aws", 3)), done());
}

#[test]
fn no_quota_counts_it() {
    let quotas = Quotas { keys_per_account: 2, ..Quotas::default() };
    let mut replica = Replica::initialised();
    let mut send = |operation| {
        let mut command = Command { authorised_at: u64::MAX, ..command(START, operation) };
        quotas.put_into(&mut command);
        replica.send(&command)
    };
    assert_eq!(send(create_key(0)), created(0));
    assert_eq!(send(create_managed_key(1, "s3")), created(1));
    assert_eq!(send(create_key(2)), created(2));
    assert_eq!(send(create_key(3)), rejected(Reason::KeyLimit));
    assert_eq!(send(create_managed_key(4, "ebs")), created(4), "nor does one stand in its way");
    for _ in 0..2 {
        assert_eq!(replica.view.key_count_of(account(MINE)), 2);
        assert_eq!(replica.view.keys_of(account(MINE), None).count(), 4);
        replica.reload();
    }
}

#[test]
fn it_rotates_every_year() {
    let mut replica = with_keys();
    let due = |replica: &Replica| replica.view.rotations_due(replica.view.clock()).count();
    for year in 1..=3 {
        replica.wait(365 * DAY - 1);
        assert_eq!((due(&replica), replica.run(rotate_due(&[(1, 99)]))), (0, rotated(&[])));
        replica.wait(1);
        assert_eq!(due(&replica), 1);
        assert_eq!(replica.run(rotate_due(&[(1, 10 + year)])), rotated(&[1]));
        let key = key(&replica, 1);
        assert_eq!(key.materials.len(), 1 + usize::from(year));
        assert_eq!(key.current().unwrap().id.bytes()[0], 10 + year);
        assert_eq!(key.rotation.unwrap().next, replica.view.clock().plus(365 * DAY));
    }
    assert_eq!(replica.run(create_managed_key(4, "s3")), created(1));
}

#[test]
fn services_make_grants_on_it_and_its_account_ends_them() {
    let mut replica = with_keys();
    let principal = |name: String| proto::GrantPrincipalRecord { name, unique_id: String::new() };
    let grant = proto::GrantRecord {
        id: vec![9; 32],
        key_id: key_id(1).bytes().to_vec(),
        issuing_account: MINE,
        grantee: Some(principal(format!("arn:aws:iam::{MINE}:root"))),
        operations: vec![1],
        ..proto::GrantRecord::default()
    };
    let create = Operation::CreateGrant(proto::CreateGrant { grant: Some(grant) });
    let made = proto::outcome::Result::GrantCreated(proto::GrantCreated { grant_id: vec![9; 32] });
    assert_eq!(replica.run(create), made);
    let remove = proto::RemoveGrant { key: key_ref(1), grant_id: vec![9; 32] };
    assert_eq!(replica.run(Operation::RemoveGrant(remove)), done());
}

#[test]
fn what_is_no_managed_key_is_not_made() {
    let good = || managed_key(4, "s3");
    let named = |service: &str| proto::CreateManagedKey { service: service.into(), ..good() };
    let empty = proto::MaterialRecord { wrapped: Vec::new(), ..material(4) };
    let long = "a".repeat(256);
    let malformed = [
        named(""),
        named("S3"),
        named("a/b"),
        named("a_b"),
        named("s3 "),
        named(&long),
        proto::CreateManagedKey { key: None, ..good() },
        proto::CreateManagedKey { key: key_ref(5), ..good() },
        proto::CreateManagedKey { account: 1_000_000_000_000, ..good() },
        proto::CreateManagedKey { material: None, ..good() },
        proto::CreateManagedKey { material: Some(empty), ..good() },
    ];
    let mut replica = with_keys();
    let before = replica.rows();
    for key in malformed {
        let outcome = replica.run(Operation::CreateManagedKey(key.clone()));
        assert_eq!(outcome, rejected(Reason::Malformed), "{key:?}");
    }
    let absent = proto::CreateManagedKey { account: 5, ..good() };
    let outcome = replica.run(Operation::CreateManagedKey(absent));
    assert_eq!(outcome, rejected(Reason::AccountNotFound));
    assert_eq!(replica.run(create_managed_key(3, "ebs")), rejected(Reason::KeyExists));
    assert!(replica.rows() == before);
}
