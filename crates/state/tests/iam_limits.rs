//! How many of everything there may be, and that what goes makes room.
#![allow(clippy::unwrap_used)]

mod common;

use common::iam::*;
use common::*;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{self, Reason};
use keystead_state::{limits, policy_size};

/// Ids beyond what [`user_id`] numbers.
fn numbered(operation: Operation, number: usize, name: &str) -> Operation {
    let (id, name) = (format!("{number:017}"), name.to_owned());
    match operation {
        Operation::CreateUser(op) => {
            Operation::CreateUser(proto::CreateUser { user_id: format!("AIDA{id}"), name, ..op })
        }
        Operation::CreateGroup(op) => {
            Operation::CreateGroup(proto::CreateGroup { group_id: format!("AGPA{id}"), name, ..op })
        }
        Operation::CreateRole(op) => {
            Operation::CreateRole(proto::CreateRole { role_id: format!("AROA{id}"), name, ..op })
        }
        Operation::CreateManagedPolicy(op) => {
            let policy_id = format!("ANPA{id}");
            let op = proto::CreateManagedPolicy { policy_id, name, ..op };
            Operation::CreateManagedPolicy(op)
        }
        other => other,
    }
}

/// Creates up to the limit, is refused one more, deletes one, and is not refused any more.
fn fill(prototype: &Operation, limit: usize, reason: Reason, delete: &Operation) {
    let mut replica = Replica::initialised();
    let one_more = |replica: &mut Replica, number: usize| {
        let name = format!("name{number}");
        replica.run(numbered(prototype.clone(), number, &name))
    };
    for number in 0..limit {
        assert_eq!(one_more(&mut replica, number), done(), "{number}");
    }
    assert_eq!(one_more(&mut replica, limit), rejected(reason));
    // Another account has room of its own.
    let elsewhere = match numbered(prototype.clone(), limit, "elsewhere") {
        Operation::CreateUser(op) => {
            Operation::CreateUser(proto::CreateUser { account: ACCOUNTS[1], ..op })
        }
        Operation::CreateGroup(op) => {
            Operation::CreateGroup(proto::CreateGroup { account: ACCOUNTS[1], ..op })
        }
        Operation::CreateRole(op) => {
            Operation::CreateRole(proto::CreateRole { account: ACCOUNTS[1], ..op })
        }
        Operation::CreateManagedPolicy(op) => {
            let op = proto::CreateManagedPolicy { account: ACCOUNTS[1], ..op };
            Operation::CreateManagedPolicy(op)
        }
        other => other,
    };
    assert_eq!(replica.run(elsewhere), done());
    replica.reload();
    assert_eq!(one_more(&mut replica, limit + 1), rejected(reason));
    assert_eq!(replica.run(delete.clone()), done());
    assert_eq!(one_more(&mut replica, limit + 1), done());
    assert_eq!(one_more(&mut replica, limit + 2), rejected(reason));
}

#[test]
fn an_account_has_so_many_entities_at_most() {
    let user = user("NAME7");
    fill(&create_user(0, ""), 5_000, Reason::UserLimit, &delete_entity(user));
    let group = group("name7");
    fill(&create_group(0, ""), 300, Reason::GroupLimit, &delete_entity(group));
    let role = role("name7");
    fill(&create_role(0, ""), 1_000, Reason::RoleLimit, &delete_entity(role));
    let policy = delete_entity(managed("name7"));
    fill(&create_policy(0, "", "{}"), 1_500, Reason::ManagedPolicyLimit, &policy);
}

#[test]
fn a_user_is_in_ten_groups_at_most() {
    let mut replica = Replica::initialised();
    replica.run(create_user(0, "alice"));
    for number in 0..=10 {
        replica.run(create_group(number, &format!("g{number}")));
    }
    for number in 0..10 {
        assert_eq!(replica.run(join("alice", &format!("g{number}"))), done());
    }
    let rows = replica.rows();
    assert_eq!(replica.run(join("alice", "g10")), rejected(Reason::GroupsPerUserLimit));
    assert_eq!(replica.rows(), rows);
    assert_eq!(replica.run(join("alice", "g3")), done(), "it is there already");
    assert_eq!(replica.run(leave("alice", "g3")), done());
    assert_eq!(replica.run(join("alice", "g10")), done());
    assert_eq!(limits::GROUPS_PER_USER, 10);
}

#[test]
fn ten_policies_are_attached_at_most() {
    let mut replica = Replica::initialised();
    replica.run(create_user(0, "alice"));
    replica.run(create_group(0, "devs"));
    for number in 0..=10 {
        replica.run(create_policy(number, &format!("p{number}"), "{}"));
    }
    for entity in [user("alice"), group("devs")] {
        for number in 0..10 {
            assert_eq!(replica.run(attach(entity.clone(), &format!("p{number}"))), done());
        }
        let limit = rejected(Reason::AttachmentLimit);
        assert_eq!(replica.run(attach(entity.clone(), "p10")), limit);
        assert_eq!(replica.run(attach(entity.clone(), "p0")), done(), "it is there already");
        assert_eq!(replica.run(detach(entity.clone(), "p0")), done());
        assert_eq!(replica.run(attach(entity, "p10")), done());
    }
    // A boundary is not among them.
    assert_eq!(replica.run(put_boundary("alice", "p0")), done());
    assert_eq!(limits::ATTACHED_POLICIES, 10);
}

#[test]
fn inline_policies_share_their_room_and_white_space_takes_none() {
    assert_eq!(policy_size(" {\t\"a\":\r\n \"ä\" } "), 9);
    let cases = [(user("alice"), 2_048), (group("devs"), 5_120)];
    let mut replica = Replica::initialised();
    replica.run(create_user(0, "alice"));
    replica.run(create_group(0, "devs"));
    for (entity, room) in cases {
        let put = |name: &str, size: usize| put_inline(entity.clone(), name, &document(size));
        let too_long = rejected(Reason::InlinePoliciesTooLong);
        assert_eq!(replica.run(put("a", room + 1)), too_long);
        assert_eq!(replica.run(put("a", room)), done());
        assert_eq!(replica.run(put("b", 9)), too_long);
        assert_eq!(replica.run(put("a", room - 9)), done(), "the old one makes room");
        assert_eq!(replica.run(put("b", 9)), done());
        assert_eq!(replica.run(put("b", 10)), too_long);
        assert_eq!(replica.run(delete_inline(entity.clone(), "a")), done());
        assert_eq!(replica.run(put("b", room)), done());
    }
    assert_eq!(replica.view.policy_count(), 2, "what was refused or replaced is not kept");
}

#[test]
fn versions_are_five_at_most_and_their_numbers_are_never_used_again() {
    let mut replica = Replica::initialised();
    replica.run(create_policy(0, "p", "[1]"));
    for number in 2..=5 {
        assert_eq!(replica.run(create_version("p", "[2]", false)), version_created(number));
    }
    assert_eq!(replica.run(create_version("p", "[2]", true)), rejected(Reason::PolicyVersionLimit));
    assert_eq!(replica.run(delete_version("p", 1)), rejected(Reason::PolicyVersionIsDefault));
    assert_eq!(replica.run(delete_version("p", 5)), done());
    replica.reload();
    assert_eq!(replica.run(create_version("p", "[6]", true)), version_created(6));
    assert_eq!(replica.run(delete_version("p", 1)), done());
    assert_eq!(replica.run(set_default("p", 1)), rejected(Reason::PolicyVersionNotFound));
    assert_eq!(replica.run(create_version("p", "[7]", false)), version_created(7));
    let policy = replica.view.managed_policy_named(account(OWNER), &"P".parse().unwrap()).unwrap();
    let numbers: Vec<_> = policy.versions.iter().map(|version| version.number).collect();
    assert_eq!((numbers, policy.default_version), (vec![2, 3, 4, 6, 7], 6));
    assert_eq!(policy.default_version().policy.text, "[6]");
}

#[test]
fn an_entity_has_fifty_tags_at_most_whatever_their_case() {
    let mut replica = Replica::initialised();
    replica.run(create_user(0, "alice"));
    replica.run(create_policy(0, "p", "{}"));
    let names: Vec<String> = (0..=50).map(|n| format!("Tag{n}")).collect();
    let tags: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    for entity in [user("alice"), managed("p")] {
        let mut tag = |tags: &[(&str, &str)]| replica.run(tag_entity(entity.clone(), tags));
        assert_eq!(tag(&tags), rejected(Reason::EntityTagLimit));
        assert_eq!(tag(&tags[..50]), done());
        assert_eq!(tag(&tags[50..]), rejected(Reason::EntityTagLimit));
        assert_eq!(tag(&[("tag0", "new")]), done());
        assert_eq!(tag(&[("x", ""), ("X", "")]), rejected(Reason::DuplicateTagKeys));
        assert_eq!(replica.run(untag_entity(entity, &["TAG1", "absent"])), done());
    }
    let there = replica.view.user_named(account(OWNER), &"alice".parse().unwrap()).unwrap();
    assert_eq!(there.tags.len(), 49);
    assert_eq!(there.tags.get("tag0").map(String::as_str), Some("new"));
    assert_eq!(there.tags.get("Tag0"), None);
    assert_eq!(replica.run(tag_entity(group("devs"), &[])), rejected(Reason::Malformed));
}

#[test]
fn an_owner_has_two_access_keys_at_most() {
    let mut replica = Replica::initialised();
    replica.run(create_user(0, "alice"));
    let limit = rejected(Reason::AccessKeyLimit);
    for (owner, prefix, first) in [("alice", "U", 0), ("", "R", 1)] {
        // The root has one from the beginning.
        for number in first..2 {
            let id = format!("{prefix}{number}");
            assert_eq!(replica.run(create_access_key(owner, &id)), key_created(&id));
        }
        let third = format!("{prefix}2");
        assert_eq!(replica.run(create_access_key(owner, &third)), limit);
        assert_eq!(replica.run(delete_access_key(owner, &format!("{prefix}1"))), done());
        assert_eq!(replica.run(create_access_key(owner, &third)), key_created(&third));
    }
    // Ids are unique in the region, and an owner changes its own keys alone.
    assert_eq!(
        replica.run(create_access_key("alice", "ACCESS1")),
        rejected(Reason::AccessKeyExists)
    );
    let absent = rejected(Reason::AccessKeyNotFound);
    for (owner, id) in [("alice", "R2"), ("", "U0"), ("", "ACCESS1"), ("alice", "NONE")] {
        assert_eq!(replica.run(delete_access_key(owner, id)), absent);
        assert_eq!(replica.run(update_access_key(owner, id, false)), absent);
    }
}

#[test]
fn equal_documents_are_stored_once_and_go_with_the_last_that_has_them() {
    let mut replica = Replica::initialised();
    let stored = |replica: &Replica| {
        let rows = replica.rows();
        assert_eq!(rows.keys().filter(|key| key[0] == 0x14).count(), replica.view.policy_count());
        replica.view.policy_count()
    };
    replica.run(create_user(0, "alice"));
    replica.run(create_group(0, "devs"));
    replica.run(create_policy(0, "p", "{}"));
    replica.run(create_key(1));
    for name in ["a", "b"] {
        replica.run(put_inline(user("alice"), name, "{}"));
        replica.run(put_inline(group("devs"), name, "{}"));
    }
    replica.run(create_version("p", "{}", true));
    assert_eq!(stored(&replica), 1);
    replica.run(put_inline(user("alice"), "a", "[1]"));
    replica.run(put_inline(user("alice"), "b", "[1]"));
    assert_eq!(stored(&replica), 2);
    replica.reload();
    replica.run(delete_inline(user("alice"), "a"));
    assert_eq!(stored(&replica), 2);
    replica.run(put_inline(user("alice"), "b", "{}"));
    assert_eq!(stored(&replica), 1);
    replica.run(delete_inline(user("alice"), "b"));
    replica.run(delete_inline(group("devs"), "a"));
    replica.run(delete_inline(group("devs"), "b"));
    replica.run(schedule(1, 0));
    replica.run(delete_due(&[1]));
    replica.run(delete_version("p", 1));
    assert_eq!(stored(&replica), 1);
    assert_eq!(replica.run(delete_entity(managed("p"))), done());
    assert_eq!(stored(&replica), 0);
}
