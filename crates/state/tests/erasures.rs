//! Keys that lost material, and what nodes tell of having erased it.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{self, ImportIntent, Reason};
use keystead_types::{NodeId, Origin};

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(u64::MAX);
const YEAR: u64 = 366 * DAY;

/// A region that writes down what is lost.
fn recording() -> Replica {
    let mut replica = Replica::initialised();
    assert_eq!(replica.run(erased(ONE, 0)), done());
    assert_eq!(replica.view.erasures().erased_through(ONE), 0);
    replica
}

fn erased(node: NodeId, through: u64) -> Operation {
    Operation::RecordErased(proto::RecordErased { node_id: node.0, through })
}

/// Deletes a key, whose window has ended; gives the index.
fn delete(replica: &mut Replica, key: u8) -> u64 {
    replica.run(schedule(key, 7));
    replica.wait(7 * DAY);
    replica.run(delete_due(&[key]));
    assert!(replica.view.key(&key_id(key)).is_none());
    replica.view.applied()
}

fn lost(replica: &Replica, key: u8) -> Option<u64> {
    replica.view.erasures().of(&key_id(key)).map(|lost| lost.index)
}

fn import(number: u8, intent: ImportIntent) -> Operation {
    let origin = Origin::External.code().into();
    Operation::ImportMaterial(proto::ImportMaterial {
        key: key_ref(1),
        material: Some(proto::MaterialRecord { origin, ..material(number) }),
        intent: intent.into(),
        description_given: false,
        token_expires_ms: u64::MAX,
    })
}

fn imported_key() -> Replica {
    let mut replica = recording();
    let origin = Origin::External.code().into();
    let key = proto::CreateKey { origin, material: None, ..symmetric_key(1) };
    replica.run(Operation::CreateKey(key));
    replica.run(import(1, ImportIntent::New));
    replica
}

fn delete_material() -> Operation {
    let material_id = Vec::new();
    Operation::DeleteMaterial(proto::DeleteMaterial { key: key_ref(1), material_id })
}

#[test]
fn a_key_loses_its_material_when_it_is_deleted_and_not_before() {
    let mut replica = recording();
    for key in [1, 3] {
        replica.run(create_key(key));
        replica.run(rotate(key, 0x50 + key));
        replica.run(describe(key, "still there"));
        replica.run(disable(key));
    }
    assert_eq!((lost(&replica, 1), replica.view.erasures().latest()), (None, 0));
    let index = delete(&mut replica, 1);
    let told = *replica.view.erasures().of(&key_id(1)).unwrap();
    assert_eq!((told.index, told.at), (index, replica.view.clock()));
    assert_eq!(told.account, account(ACCOUNTS[0]));
    assert_eq!(lost(&replica, 3), None);
    assert_eq!(replica.view.erasures().latest(), index);
}

#[test]
fn imported_material_is_lost_when_it_is_deleted_or_expires_and_not_when_it_comes_again() {
    let mut replica = imported_key();
    replica.run(import(1, ImportIntent::Existing));
    assert_eq!(lost(&replica, 1), None, "the same material, in another wrap");
    replica.run(delete_material());
    let first = replica.view.applied();
    assert_eq!(lost(&replica, 1), Some(first));
    replica.run(delete_material());
    assert_eq!(lost(&replica, 1), Some(first), "there was nothing to lose");

    let mut again = import(1, ImportIntent::Existing);
    if let Operation::ImportMaterial(import) = &mut again {
        import.material.as_mut().unwrap().expires_ms = Some(replica.view.clock().0 + DAY);
    }
    let imported = replica.run(again);
    assert!(matches!(imported, proto::outcome::Result::MaterialImported(_)), "{imported:?}");
    assert_eq!(lost(&replica, 1), Some(first));
    replica.wait(DAY);
    let keys = key_ref(1).into_iter().collect();
    replica.run(Operation::ExpireMaterials(proto::ExpireMaterials { keys }));
    assert_eq!(lost(&replica, 1), Some(replica.view.applied()));
    let all: Vec<_> = replica.view.erasures().after(0).map(|lost| lost.index).collect();
    assert_eq!(all, [replica.view.applied()], "the last time is the one that counts");
}

#[test]
fn what_a_node_erased_is_known_by_index_and_time() {
    let mut replica = recording();
    for key in [1, 2, 3] {
        replica.run(create_key(key));
    }
    let (first, second) = (delete(&mut replica, 1), delete(&mut replica, 2));
    let at = |replica: &Replica, node, index| {
        replica.view.erasures().erased_at(node, index).map(|at| at.0)
    };
    assert_eq!(at(&replica, ONE, first), None);
    replica.wait(MINUTE);
    let when = replica.view.clock().0;
    assert_eq!(replica.run(erased(ONE, first)), done());
    replica.wait(MINUTE);
    assert_eq!(replica.run(erased(ONE, second)), done());
    assert_eq!(replica.run(erased(ONE, first)), done());
    assert_eq!(at(&replica, ONE, first), Some(when), "when it told first");
    assert_eq!(at(&replica, ONE, second), Some(when + MINUTE));
    assert_eq!(at(&replica, ONE, second + 1), None);
    assert_eq!((at(&replica, TWO, first), at(&replica, NodeId(0), first)), (None, None));
    assert_eq!(replica.view.erasures().erased_through(ONE), second);
    assert_eq!(replica.view.erasures().erased_through(TWO), 0);
    assert_eq!(replica.run(erased(TWO, second)), done());

    let (rows, indexes) = (replica.rows(), |replica: &Replica| -> Vec<u64> {
        replica.view.erasures().after(first).map(|lost| lost.index).collect()
    });
    assert_eq!(indexes(&replica), [second]);
    replica.reload();
    assert_eq!(replica.rows(), rows);
    assert_eq!((indexes(&replica), at(&replica, ONE, first)), (vec![second], Some(when)));
}

#[test]
fn a_region_of_an_earlier_version_begins_when_a_node_tells_something() {
    let mut replica = Replica::initialised();
    replica.run(create_key(1));
    delete(&mut replica, 1);
    assert!(!replica.view.losses_known());
    assert_eq!(lost(&replica, 1), None, "its nodes would not know what that row is");
    replica.run(erased(ONE, 0));
    assert!(replica.view.losses_known());
    replica.reload();
    assert!(replica.view.losses_known());

    let mut newer = Replica::default();
    newer.send(&keystead_state::Command { version: 2, ..command(START, initialise()) });
    assert!(newer.view.losses_known(), "from its beginning");
}

#[test]
fn nobody_has_erased_what_is_to_come() {
    let mut replica = recording();
    let beyond = replica.view.applied() + 2;
    let before = replica.rows();
    assert_eq!(replica.run(erased(ONE, beyond)), rejected(Reason::Malformed));
    assert_eq!(replica.rows(), before);
    assert_eq!(replica.view.erasures().erased_through(ONE), 0);
}

#[test]
fn what_was_lost_a_year_ago_is_forgotten_and_what_nodes_told_of_it_with_it() {
    let mut replica = recording();
    for key in [1, 2, 3] {
        replica.run(create_key(key));
    }
    let first = delete(&mut replica, 1);
    replica.run(erased(ONE, first));
    replica.run(erased(TWO, first));
    let second = delete(&mut replica, 2);
    replica.wait(YEAR - 7 * DAY);
    let third = delete(&mut replica, 3);
    assert_eq!(lost(&replica, 1), Some(first), "until a node tells something");
    replica.run(erased(ONE, third));
    assert_eq!((lost(&replica, 1), lost(&replica, 2)), (None, None));
    assert_eq!(lost(&replica, 3), Some(third));
    assert_eq!(replica.view.erasures().erased_through(TWO), 0, "of no use any more");
    assert_eq!(replica.view.erasures().erased_through(ONE), third);
    assert!(second < third);
    let rows = replica.rows();
    assert_eq!(rows.keys().filter(|key| [0x25, 0x26].contains(&key[0])).count(), 2);
    replica.reload();
    assert_eq!(replica.rows(), rows);
}
