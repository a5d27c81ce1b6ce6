//! Whoever loses a right, or may have lost one, decides nothing any more with what was authorised
//! before; everybody else goes on.
#![allow(clippy::unwrap_used)]

mod common;

use common::iam::*;
use common::*;
use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::{Command, View};

/// Alice is in "devs", bounded by "all", and has key AKIA0; "devs" has "read", alice has "write".
/// Bob is in "ops", bounded by "bound", and has key AKIA1; "ops" has "look", bob has "touch".
fn two_teams() -> Replica {
    let mut replica = Replica::initialised();
    let operations = [
        create_user(0, "alice"),
        create_user(1, "bob"),
        create_user(2, "carol"),
        create_group(0, "devs"),
        create_group(1, "ops"),
        create_policy(0, "read", "{}"),
        create_policy(1, "write", "{}"),
        create_policy(2, "all", "{}"),
        create_policy(3, "look", "{}"),
        create_policy(4, "touch", "{}"),
        create_policy(5, "bound", "{}"),
        create_policy(6, "spare", "{}"),
        create_access_key("alice", "AKIA0"),
        create_access_key("bob", "AKIA1"),
        create_access_key("", "AKIA2"),
        join("alice", "devs"),
        join("bob", "ops"),
        attach(group("devs"), "read"),
        attach(group("ops"), "look"),
        attach(user("alice"), "write"),
        attach(user("bob"), "touch"),
        put_boundary("alice", "all"),
        put_boundary("bob", "bound"),
        put_inline(user("alice"), "in", "{}"),
        put_inline(group("devs"), "in", "{}"),
        tag_entity(user("alice"), &[("team", "a")]),
        create_key(1),
    ];
    for operation in operations {
        let outcome = replica.run(operation.clone());
        assert!(!matches!(outcome, OutcomeResult::Rejected(_)), "{outcome:?} to {operation:?}");
    }
    assert_eq!(replica.run(create_version("read", "[2]", false)), version_created(2));
    assert_eq!(replica.run(create_version("write", "[2]", false)), version_created(2));
    assert_eq!(replica.run(create_version("all", "[2]", false)), version_created(2));
    replica
}

const ALICE: Author = Author::User(OWNER, 0, Some("AKIA0"));
const ALICE_BY_CERTIFICATE: Author = Author::User(OWNER, 0, None);
const BOB: Author = Author::User(OWNER, 1, Some("AKIA1"));
const CAROL: Author = Author::User(OWNER, 2, None);
const ROOT: Author = Author::Key(OWNER, ACCESS_KEYS[0]);
const OTHER_ROOT_KEY: Author = Author::Key(OWNER, "AKIA2");
const STRANGER: Author = Author::Key(ACCOUNTS[1], ACCESS_KEYS[1]);

/// What comes of an author's command that was authorised at an index; the state stays as it was.
fn asks(view: &View, author: &Author, authorised_at: u64) -> OutcomeResult {
    let mut replica = Replica { view: view.clone(), changes: Vec::new() };
    replica.send(&author.sends(authorised_at, describe(1, "x")))
}

/// Carries out a change, and checks that exactly these authors have to be authorised again.
fn check_loss(what: &str, change: Operation, losers: &[&Author]) {
    let mut replica = two_teams();
    let before = replica.view.applied();
    let system = Author::System.sends(before, change);
    assert!(matches!(
        replica.send(&system),
        OutcomeResult::Done(_)
            | OutcomeResult::PolicyVersionCreated(_)
            | OutcomeResult::AccessKeyCreated(_)
    ));
    let everybody =
        [&ALICE, &ALICE_BY_CERTIFICATE, &BOB, &CAROL, &ROOT, &OTHER_ROOT_KEY, &STRANGER];
    for author in everybody {
        let loses = losers.iter().any(|loser| format!("{loser:?}") == format!("{author:?}"));
        let expected = if loses { stale() } else { done() };
        assert_eq!(asks(&replica.view, author, before), expected, "{what}: {author:?}");
        replica.reload();
        assert_eq!(asks(&replica.view, author, before), expected, "{what}, restarted: {author:?}");
    }
}

#[test]
fn everybody_may_ask_before_anything_happens() {
    check_loss("nothing", tick(), &[]);
}

#[test]
fn a_user_that_may_have_lost_a_right_is_judged_again() {
    let alice = [&ALICE, &ALICE_BY_CERTIFICATE];
    let losses = [
        ("an inline policy went", delete_inline(user("alice"), "in")),
        ("an inline policy was replaced", put_inline(user("alice"), "in", "[3]")),
        ("an inline policy came, which may deny", put_inline(user("ALICE"), "new", "[3]")),
        ("a policy was detached", detach(user("alice"), "write")),
        ("a policy was attached, which may deny", attach(user("alice"), "spare")),
        ("left a group", leave("alice", "devs")),
        ("joined a group, which may deny", join("alice", "ops")),
        ("the boundary was replaced", put_boundary("alice", "spare")),
        ("the boundary went", delete_boundary("alice")),
        ("was tagged", tag_entity(user("alice"), &[("team", "b")])),
        ("was untagged", untag_entity(user("alice"), &["Team"])),
        ("was renamed", update_entity(user("alice"), Some("alicia"), None)),
        ("was moved", update_entity(user("alice"), None, Some("/left/"))),
        ("its policy has a new version in force", create_version("write", "[3]", true)),
        ("its policy has another version in force", set_default("write", 2)),
        ("its policy was tagged", tag_entity(managed("write"), &[("a", "b")])),
        ("its boundary has another version in force", set_default("all", 2)),
        ("its boundary has a new version in force", create_version("all", "[3]", true)),
        ("a policy of its group has another version in force", set_default("read", 2)),
        ("a policy of its group has a new version", create_version("read", "[3]", true)),
        ("a policy of its group went", delete_inline(group("devs"), "in")),
        ("a policy of its group was replaced", put_inline(group("devs"), "in", "[3]")),
        ("a policy of its group was detached", detach(group("devs"), "read")),
        ("a policy was attached to its group", attach(group("DEVS"), "spare")),
        ("its group was renamed", update_entity(group("devs"), Some("leads"), None)),
    ];
    for (what, change) in losses {
        check_loss(what, change, &alice);
    }
}

#[test]
fn an_access_key_that_is_switched_off_or_gone_takes_only_itself_along() {
    check_loss("switched off", update_access_key("alice", "AKIA0", false), &[&ALICE]);
    check_loss("deleted", delete_access_key("alice", "AKIA0"), &[&ALICE]);
    check_loss("root's switched off", update_access_key("", "AKIA2", false), &[&OTHER_ROOT_KEY]);
    check_loss("root's deleted", delete_access_key("", "AKIA2"), &[&OTHER_ROOT_KEY]);
}

#[test]
fn a_deleted_user_decides_nothing() {
    check_loss("deleted", delete_entity(user("carol")), &[&CAROL]);
}

#[test]
fn a_suspended_account_takes_all_of_its_own_along() {
    let all = [&ALICE, &ALICE_BY_CERTIFICATE, &BOB, &CAROL, &ROOT, &OTHER_ROOT_KEY];
    check_loss("suspended", suspend(OWNER, true), &all);
    check_loss("another suspended", suspend(ACCOUNTS[1], true), &[&STRANGER]);
}

#[test]
fn what_takes_no_right_away_makes_nothing_stale() {
    for (what, change) in [
        ("a version that is not in force", create_version("write", "[3]", false)),
        ("a version that is not in force goes", delete_version("write", 2)),
        ("the version in force, again", set_default("write", 1)),
        ("the same boundary, again", put_boundary("alice", "all")),
        ("no boundary, again", delete_boundary("carol")),
        ("what is attached, again", attach(user("alice"), "write")),
        ("the group, again", join("alice", "devs")),
        ("a group that one was not in", leave("alice", "ops")),
        ("another access key", create_access_key("alice", "AKIA3")),
        ("an access key that is on, again", update_access_key("alice", "AKIA0", true)),
        ("an account that is not suspended, again", suspend(OWNER, false)),
        ("a new user", create_user(9, "new")),
        ("another's group", join("carol", "devs")),
        ("another's policy", attach(user("carol"), "write")),
    ] {
        // Carol is in some of them the one who is changed.
        let losers: &[&Author] = if what.starts_with("another's") { &[&CAROL] } else { &[] };
        check_loss(what, change, losers);
    }
}

#[test]
fn who_got_back_what_was_lost_is_judged_again() {
    let mut replica = two_teams();
    let before = replica.view.applied();
    replica.run(update_access_key("alice", "AKIA0", false));
    assert_eq!(asks(&replica.view, &ALICE, replica.view.applied()), stale());
    replica.run(update_access_key("alice", "AKIA0", true));
    assert_eq!(asks(&replica.view, &ALICE, before), stale());
    assert_eq!(asks(&replica.view, &ALICE, replica.view.applied()), done());

    let before = replica.view.applied();
    for suspended in [true, false] {
        replica.send(&Author::System.sends(before, suspend(OWNER, suspended)));
        let now = replica.view.applied();
        let expected = if suspended { stale() } else { done() };
        assert_eq!(asks(&replica.view, &BOB, now), expected);
        assert_eq!(asks(&replica.view, &ROOT, now), expected);
    }
    assert_eq!(asks(&replica.view, &BOB, before), stale());
    assert_eq!(asks(&replica.view, &ROOT, before), stale());
}

#[test]
fn an_access_key_speaks_for_its_owner_alone() {
    let replica = two_teams();
    let now = replica.view.applied();
    for (user, key) in [(0, "AKIA1"), (0, ACCESS_KEYS[0]), (0, "AKIA2"), (7, "AKIA0")] {
        assert_eq!(asks(&replica.view, &Author::User(OWNER, user, Some(key)), now), stale());
    }
    for key in ["AKIA0", "AKIA1", "ABSENT"] {
        assert_eq!(asks(&replica.view, &Author::Key(OWNER, key), now), stale());
    }
    assert_eq!(asks(&replica.view, &Author::User(OWNER, 7, None), now), stale());
}

#[test]
fn an_access_key_id_that_comes_again_is_another_key() {
    let mut replica = two_teams();
    let before = replica.view.applied();
    replica.run(delete_access_key("alice", "AKIA0"));
    replica.run(create_access_key("alice", "AKIA0"));
    assert_eq!(asks(&replica.view, &ALICE, before), stale());
    assert_eq!(asks(&replica.view, &ALICE, replica.view.applied()), done());
}

#[test]
fn an_inactive_access_key_is_kept_and_counted() {
    let mut replica = two_teams();
    replica.run(update_access_key("alice", "AKIA0", false));
    replica.run(create_access_key("alice", "AKIA3"));
    let limit = rejected(keystead_state::proto::Reason::AccessKeyLimit);
    assert_eq!(replica.run(create_access_key("alice", "AKIA4")), limit);
    let key = replica.view.credential(&"AKIA0".parse().unwrap()).unwrap();
    assert!(!key.active);
}

/// Every operation on alice, by whoever.
fn touching_alice() -> Vec<Operation> {
    vec![
        update_entity(user("alice"), Some("alicia"), None),
        delete_entity(user("alice")),
        tag_entity(user("alice"), &[("a", "b")]),
        untag_entity(user("alice"), &["a"]),
        put_inline(user("alice"), "in", "[4]"),
        delete_inline(user("alice"), "in"),
        attach(user("alice"), "spare"),
        detach(user("alice"), "write"),
        put_boundary("alice", "spare"),
        delete_boundary("alice"),
        join("alice", "ops"),
        leave("alice", "devs"),
        create_access_key("alice", "AKIA3"),
        update_access_key("alice", "AKIA0", false),
        delete_access_key("alice", "AKIA0"),
    ]
}

/// Every operation on the policy "spare".
fn touching_spare() -> Vec<Operation> {
    vec![
        delete_entity(managed("spare")),
        tag_entity(managed("spare"), &[("a", "b")]),
        untag_entity(managed("spare"), &["a"]),
        attach(user("alice"), "spare"),
        detach(user("alice"), "spare"),
        put_boundary("alice", "spare"),
        create_version("spare", "[4]", false),
        delete_version("spare", 1),
        set_default("spare", 1),
        Operation::CreateUser(keystead_state::proto::CreateUser {
            boundary: "spare".into(),
            ..new_user(9, "new")
        }),
    ]
}

/// Every operation on the group "devs".
fn touching_devs() -> Vec<Operation> {
    vec![
        update_entity(group("devs"), None, Some("/a/")),
        delete_entity(group("devs")),
        put_inline(group("devs"), "in", "[4]"),
        delete_inline(group("devs"), "in"),
        attach(group("devs"), "spare"),
        detach(group("devs"), "read"),
        join("carol", "devs"),
        leave("alice", "devs"),
    ]
}

/// A name may mean another entity, or an entity be under another path, than when it was allowed.
#[test]
fn what_touches_an_entity_is_stale_after_it_changed() {
    let cases = [
        (update_entity(user("alice"), None, Some("/a/")), touching_alice()),
        (tag_entity(managed("spare"), &[("a", "c")]), touching_spare()),
        (update_entity(group("devs"), None, Some("/b/")), touching_devs()),
    ];
    for (change, touching) in cases {
        for operation in touching {
            let mut replica = two_teams();
            let before = replica.view.applied();
            assert_eq!(replica.run(change.clone()), done());
            let rows = replica.rows();
            let late = replica.run_authorised_at(before, operation.clone());
            assert_eq!(late, stale(), "{operation:?}");
            assert_eq!(replica.rows(), rows);
            assert_ne!(replica.run(operation.clone()), stale(), "{operation:?}");
        }
    }
}

#[test]
fn a_name_that_went_to_another_user_is_not_the_one_that_was_meant() {
    let mut replica = two_teams();
    let before = replica.view.applied();
    assert_eq!(replica.run(delete_entity(user("carol"))), done());
    assert_eq!(replica.run(create_user(9, "carol")), done());
    let late = replica.run_authorised_at(before, attach(user("carol"), "all"));
    assert_eq!(late, stale());
    let ask = Author::User(OWNER, 2, None).sends(replica.view.applied(), describe(1, "x"));
    assert_eq!(replica.send(&ask), stale(), "the old carol is not the new one");
}

#[test]
fn nonsense_about_the_author_is_answered() {
    let mut replica = two_teams();
    let malformed = rejected(keystead_state::proto::Reason::Malformed);
    for user_id in ["alice", "AIDA", &group_id(0)] {
        let ask = Command { user_id: user_id.into(), ..command(0, describe(1, "x")) };
        assert_eq!(replica.send(&ask), malformed);
    }
    for principal in ["", "arn:", "arn:aws:iam::x:root", "operator:jo", "arn:aws:iam::3:root"] {
        let ask = Author::System.sends(replica.view.applied(), describe(1, "x"));
        assert_eq!(replica.send(&Command { principal: principal.into(), ..ask }), done());
    }
}
