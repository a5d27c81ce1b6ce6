//! Roles: who takes them on, who acts in their sessions, and what ends with them.
#![allow(clippy::unwrap_used)]

mod common;

use common::iam::*;
use common::*;
use keystead_policy::{Caller, Context, Policies, Query, decide};
use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::{self, Reason};
use keystead_state::{Command, NamedPolicy, View, least_version};
use keystead_types::RoleName;

const ARN: &str = "arn:aws:iam::111122223333:role/app";
/// When the sessions of the tests were issued: before every revocation.
const ISSUED: u64 = START - 1;
const APP: Author = Author::Session(OWNER, 0, ISSUED);
const DEPLOY: Author = Author::Session(OWNER, 1, ISSUED);

/// "app" has "read" attached, "in" in it, and "all" as its boundary; "deploy" has "look".
fn two_roles() -> Replica {
    let mut replica = Replica::initialised();
    let operations = [
        create_user(0, "alice"),
        create_access_key("alice", "AKIA0"),
        create_policy(0, "read", "{}"),
        create_policy(1, "all", "{}"),
        create_policy(2, "look", "{}"),
        create_role(0, "app"),
        create_role(1, "deploy"),
        attach(role("app"), "read"),
        attach(role("deploy"), "look"),
        put_inline(role("app"), "in", "{}"),
        put_role_boundary("app", "all"),
        tag_entity(role("app"), &[("team", "a")]),
        create_key(1),
    ];
    for operation in operations {
        let outcome = replica.run(operation.clone());
        assert!(!matches!(outcome, OutcomeResult::Rejected(_)), "{outcome:?} to {operation:?}");
    }
    assert_eq!(replica.run(create_version("read", "[2]", false)), version_created(2));
    replica
}

fn asks(replica: &Replica, author: &Author, authorised_at: u64) -> OutcomeResult {
    sends(&replica.view, &author.sends(authorised_at, describe(1, "x")))
}

/// What comes of a command; the state stays as it was.
fn sends(view: &View, command: &Command) -> OutcomeResult {
    Replica { view: view.clone(), changes: Vec::new() }.send(command)
}

#[test]
fn a_session_decides_nothing_with_rights_that_its_role_may_have_lost() {
    for change in [
        detach(role("app"), "read"),
        delete_inline(role("app"), "in"),
        put_inline(role("app"), "in", "[]"),
        attach(role("app"), "look"),
        set_default("read", 2),
        put_role_boundary("app", "look"),
        delete_role_boundary("app"),
        create_version("all", "[]", true),
        untag_entity(role("app"), &["team"]),
        update_role("app", Some("x"), None),
        put_trust("app", &trust("111122223333")),
    ] {
        let mut replica = two_roles();
        let before = replica.view.applied();
        assert_eq!(asks(&replica, &APP, before), done());
        let outcome = replica.run(change.clone());
        assert!(!matches!(outcome, OutcomeResult::Rejected(_)), "{outcome:?} to {change:?}");
        assert_eq!(asks(&replica, &APP, before), stale(), "{change:?}");
        // Authorised once more, it may; and others may all the time.
        assert_eq!(asks(&replica, &APP, replica.view.applied()), done(), "{change:?}");
        assert_eq!(asks(&replica, &DEPLOY, before), done(), "{change:?}");
    }
}

#[test]
fn whoever_was_a_deleted_role_is_not_the_next_one_of_its_name() {
    let mut replica = two_roles();
    let policy = NAMES_ROLE.replace("WHO", ARN);
    let put = proto::PutKeyPolicy { key: key_ref(1), policy, lockout_check: None };
    assert_eq!(replica.run(Operation::PutKeyPolicy(put)), done());
    assert_eq!(replica.run(put_trust("deploy", &trust(ARN))), done());
    let before = replica.view.key(&key_id(1)).unwrap().policy.clone();
    assert_eq!(before.principals[ARN], role_id(0));
    for change in [
        detach(role("app"), "read"),
        delete_inline(role("app"), "in"),
        delete_entity(role("APP")),
        create_role(3, "app"),
    ] {
        assert_eq!(replica.run(change.clone()), done(), "{change:?}");
    }
    replica.reload();
    assert_eq!(asks(&replica, &APP, replica.view.applied()), stale());
    let third = Author::Session(OWNER, 3, ISSUED);
    assert_eq!(asks(&replica, &third, replica.view.applied()), done());
    let (old, new) = (session_of(&role_id(0)), session_of(&role_id(3)));
    assert!(assumes(&replica.view, "deploy", &old), "by its unique id");
    assert!(!assumes(&replica.view, "deploy", &new));
    let after = &replica.view.key(&key_id(1)).unwrap().policy;
    assert_eq!((after.id, &after.principals[ARN]), (before.id, &role_id(0)));
    // Nobody can name the old one any more, and by name everybody means the new one.
    assert_eq!(
        replica.run(put_trust("deploy", &trust(&role_id(0)))),
        rejected(Reason::PolicyPrincipal)
    );
    assert_eq!(replica.run(put_trust("deploy", &trust(ARN))), done());
    assert!(assumes(&replica.view, "deploy", &new));
    assert!(!assumes(&replica.view, "deploy", &old));
}

const NAMES_ROLE: &str = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":["111122223333","WHO"]},"Action":"kms:*","Resource":"*"}]}"#;

fn session_of(id: &str) -> Caller {
    Caller::session(account(OWNER), "app", "s").with_unique_id(id)
}

/// Whether somebody without policies of their own may take on a role.
fn assumes(view: &View, name: &str, caller: &Caller) -> bool {
    let name: RoleName = name.parse().unwrap();
    let role = view.role_named(account(OWNER), &name).unwrap();
    let query = Query {
        caller,
        action: "sts:AssumeRole",
        resource: &role.arn().to_string(),
        owner: role.account,
        context: &Context::new(),
        encryption_context: &[],
    };
    let trust = Some(&role.trust_policy.document);
    decide(&query, &Policies { key: trust, ..Policies::default() }).is_allow()
}

#[test]
fn a_trust_policy_names_only_those_who_exist_and_is_nothing_else() {
    let mut replica = two_roles();
    for nobody in ["999999999999", "arn:aws:iam::111122223333:role/absent", "AROA00000000000000009"]
    {
        let outcome = replica.run(put_trust("app", &trust(nobody)));
        assert_eq!(outcome, rejected(Reason::PolicyPrincipal), "{nobody}");
    }
    let identity = r#"{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}"#;
    let key = NAMES_ROLE.replace("WHO", "111122223333");
    for text in ["", "{}", identity, &key] {
        let outcome = replica.run(put_trust("app", text));
        assert_eq!(outcome, rejected(Reason::PolicyMalformed), "{text}");
    }
    // The same text means something else on a key.
    let text = trust("*");
    let put = proto::PutKeyPolicy { key: key_ref(1), policy: text.clone(), lockout_check: None };
    assert_eq!(replica.run(Operation::PutKeyPolicy(put)), done());
    replica.reload();
    let key = replica.view.key(&key_id(1)).unwrap().policy.clone();
    let role = replica.view.role_named(account(OWNER), &"app".parse().unwrap()).unwrap();
    assert_eq!((&key.text, &role.trust_policy.text), (&text, &text));
    assert_ne!(key.id, role.trust_policy.id);
    assert!(assumes(&replica.view, "app", &Caller::user(account(OWNER), "alice")));
}

#[test]
fn revoked_sessions_decide_nothing_and_later_ones_do() {
    let mut replica = two_roles();
    replica.wait(1000);
    assert_eq!(replica.run(revoke("", "APP")), done());
    let (now, clock) = (replica.view.applied(), replica.view.clock().0);
    for (issued, expected) in [(ISSUED, stale()), (clock, stale()), (clock + 1, done())] {
        assert_eq!(asks(&replica, &Author::Session(OWNER, 0, issued), now), expected, "{issued}");
    }
    assert_eq!(asks(&replica, &DEPLOY, now), done());

    let in_session = |author: Author, issued| {
        let command = author.sends(now + 2, describe(1, "x"));
        Command { session_issued_ms: issued, ..command }
    };
    let alice = || Author::User(OWNER, 0, Some("AKIA0"));
    let root = || Author::Key(OWNER, ACCESS_KEYS[0]);
    assert_eq!(sends(&replica.view, &in_session(alice(), ISSUED)), done());
    assert_eq!(replica.run(revoke("alice", "")), done());
    assert_eq!(sends(&replica.view, &in_session(alice(), ISSUED)), stale());
    assert_eq!(sends(&replica.view, &in_session(root(), ISSUED)), done());
    assert_eq!(replica.run(revoke("", "")), done());
    replica.reload();
    assert_eq!(sends(&replica.view, &in_session(root(), ISSUED)), stale());
    for author in [alice(), root()] {
        let later = in_session(author.clone(), clock + 1);
        assert_eq!(sends(&replica.view, &later), done(), "{author:?}");
        // An access key itself is no session.
        assert_eq!(sends(&replica.view, &in_session(author.clone(), 0)), done(), "{author:?}");
    }
    assert_eq!(replica.run(revoke("alice", "app")), rejected(Reason::Malformed));
    assert_eq!(replica.run(revoke("", "absent")), rejected(Reason::RoleNotFound));
    assert_eq!(replica.run(revoke("absent", "")), rejected(Reason::UserNotFound));
}

#[test]
fn a_session_ends_with_its_account_and_with_the_key_that_it_was_issued_to() {
    let mut replica = two_roles();
    let now = replica.view.applied() + 2;
    let with_key = Command { access_key_id: "AKIA0".into(), ..APP.sends(now, describe(1, "x")) };
    assert_eq!(sends(&replica.view, &with_key), done());
    assert_eq!(replica.run(update_access_key("alice", "AKIA0", false)), done());
    assert_eq!(sends(&replica.view, &with_key), stale());
    assert_eq!(asks(&replica, &APP, now), done());
    assert_eq!(replica.run(suspend(OWNER, true)), done());
    assert_eq!(asks(&replica, &APP, now), stale());
}

/// Puts a policy on the key, if whoever acts in a session with this policy could do so again.
fn put_checked(policy: &str, session_policy: &str) -> Operation {
    let (policy, session_policy) = (policy.to_owned(), session_policy.to_owned());
    let lockout_check = Some(proto::LockoutCheck { context: Vec::new(), session_policy });
    Operation::PutKeyPolicy(proto::PutKeyPolicy { key: key_ref(1), policy, lockout_check })
}

/// The same command, in a session that these managed policies narrow.
fn narrowed(command: Command, numbers: &[u8]) -> Command {
    let session_policy_ids = numbers.iter().map(|number| policy_id(*number)).collect();
    Command { session_policy_ids, ..command }
}

#[test]
fn a_session_decides_nothing_when_a_policy_that_narrows_it_may_have_changed() {
    let mut replica = two_roles();
    for operation in [delete_role_boundary("app"), create_version("all", "[2]", false)] {
        assert!(!matches!(replica.run(operation), OutcomeResult::Rejected(_)));
    }
    let asks = |replica: &Replica, at: u64, numbers: &[u8]| {
        sends(&replica.view, &narrowed(DEPLOY.sends(at, describe(1, "x")), numbers))
    };
    for change in [set_default("all", 2), create_version("all", "[3]", true)] {
        let before = replica.view.applied();
        assert_eq!(asks(&replica, before, &[2, 1]), done());
        replica.run(change.clone());
        assert_eq!(asks(&replica, before, &[2, 1]), stale(), "{change:?}");
        assert_eq!(asks(&replica, before, &[2]), done(), "{change:?}");
        assert_eq!(asks(&replica, replica.view.applied(), &[2, 1]), done(), "{change:?}");
    }
    for change in
        [delete_version("all", 1), delete_version("all", 2), delete_entity(managed("all"))]
    {
        assert_eq!(replica.run(change.clone()), done(), "{change:?}");
    }
    let now = replica.view.applied();
    assert_eq!(asks(&replica, now, &[1]), stale());
    let odd = DEPLOY.sends(now, describe(1, "x"));
    let odd = Command { session_policy_ids: vec!["ANPA".into()], ..odd };
    assert_eq!(sends(&replica.view, &odd), rejected(Reason::Malformed));
}

#[test]
fn what_narrows_a_session_narrows_what_it_can_put_again() {
    let mut replica = two_roles();
    let puts = r#"{"Statement":{"Effect":"Allow","Action":"kms:PutKeyPolicy","Resource":"*"}}"#;
    let lists = r#"{"Statement":{"Effect":"Allow","Action":"kms:List*","Resource":"*"}}"#;
    for operation in
        [create_role(2, "bare"), create_policy(3, "puts", puts), create_policy(4, "lists", lists)]
    {
        assert_eq!(replica.run(operation), done());
    }
    let to = |who: &str| NAMES_ROLE.replace(r#""111122223333","WHO""#, &format!("{who:?}"));
    let bare = "arn:aws:iam::111122223333:role/bare";
    let mut by = |policy: &str, inline: &str, managed: &[u8]| {
        let author = Author::Session(OWNER, 2, ISSUED);
        let command = author.sends(replica.view.applied(), put_checked(policy, inline));
        replica.send(&narrowed(command, managed))
    };
    for (inline, managed) in [("", &[][..]), (puts, &[]), ("", &[3]), (lists, &[3, 4])] {
        assert_eq!(by(&to(bare), inline, managed), done(), "{inline} {managed:?}");
    }
    let lockout = rejected(Reason::PolicyLockout);
    for (inline, managed) in [(lists, &[][..]), ("", &[4]), (lists, &[4]), ("no policy", &[3])] {
        assert_eq!(by(&to(bare), inline, managed), lockout, "{inline} {managed:?}");
    }
    // What names the session itself is not narrowed.
    let session = "arn:aws:sts::111122223333:assumed-role/bare/session";
    assert_eq!(by(&to(session), lists, &[4]), done());
}

#[test]
fn a_session_locks_nobody_out_and_is_judged_by_its_role() {
    let mut replica = two_roles();
    let lists = r#"{"Statement":{"Effect":"Allow","Action":"kms:List*","Resource":"*"}}"#;
    for operation in [
        create_role(2, "bare"),
        create_role(3, "bound"),
        create_policy(3, "lists", lists),
        put_role_boundary("bound", "lists"),
    ] {
        assert_eq!(replica.run(operation), done());
    }
    let arn = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
    let names = |name| NAMES_ROLE.replace(r#""111122223333","WHO""#, &format!("{:?}", arn(name)));
    let mut by = |number, policy: &str| {
        let author = Author::Session(OWNER, number, ISSUED);
        replica.send(&author.sends(replica.view.applied(), put_checked(policy, "")))
    };
    assert_eq!(by(2, &names("bound")), rejected(Reason::PolicyLockout), "it names another");
    assert_eq!(by(2, &names("bare")), done());
    // What a policy gives a role is cut by the role's boundary.
    assert_eq!(by(3, &names("bound")), rejected(Reason::PolicyLockout));
}

#[test]
fn a_role_goes_when_nothing_is_left_in_it() {
    let mut replica = two_roles();
    assert_eq!(replica.run(delete_entity(role("app"))), rejected(Reason::HasInlinePolicies));
    assert_eq!(replica.run(delete_inline(role("app"), "in")), done());
    assert_eq!(replica.run(delete_entity(role("app"))), rejected(Reason::HasAttachedPolicies));
    assert_eq!(replica.run(detach(role("app"), "read")), done());
    assert_eq!(replica.run(delete_entity(managed("all"))), rejected(Reason::ManagedPolicyInUse));
    assert_eq!(replica.run(delete_entity(role("app"))), done());
    assert_eq!(replica.run(delete_entity(managed("all"))), done());
    assert_eq!(replica.run(create_role(0, "app")), done());
    assert_eq!(replica.run(create_role(0, "other")), rejected(Reason::UniqueIdExists));
    assert_eq!(replica.run(create_role(5, "APP")), rejected(Reason::RoleExists));
    let renamed = replica.run(update_entity(role("app"), Some("other"), None));
    assert_eq!(renamed, rejected(Reason::Malformed), "a role keeps its name");
}

#[test]
fn limits_of_a_role() {
    let mut replica = two_roles();
    let fits = put_inline(role("deploy"), "in", &document(10_240));
    assert_eq!(replica.run(fits), done());
    let one_more = put_inline(role("deploy"), "more", "[]");
    assert_eq!(replica.run(one_more), rejected(Reason::InlinePoliciesTooLong));
    for seconds in [0, 3599, 43_201, u32::MAX] {
        let update = update_role("app", None, Some(seconds));
        assert_eq!(replica.run(update), rejected(Reason::Malformed), "{seconds}");
        let create = proto::CreateRole { max_session_seconds: seconds, ..new_role(7, "new") };
        assert_eq!(replica.run(Operation::CreateRole(create)), rejected(Reason::Malformed));
    }
    assert_eq!(replica.run(update_role("app", Some("d"), Some(43_200))), done());
    replica.reload();
    let app = replica.view.role_named(account(OWNER), &"app".parse().unwrap()).unwrap();
    assert_eq!((&*app.description, app.max_session_seconds), ("d", 43_200));
    let named: Vec<NamedPolicy> = replica.view.role_policies(app);
    let arn = "arn:aws:iam::111122223333:policy/read";
    assert!(named.iter().map(|policy| &*policy.name).eq(["role/app/in", arn]));
}

#[test]
fn what_is_about_roles_needs_the_version_that_knows_them() {
    for operation in [
        create_role(0, "a"),
        update_role("a", None, None),
        put_trust("a", ""),
        put_role_boundary("a", "b"),
        delete_role_boundary("a"),
        revoke("a", ""),
        delete_entity(role("a")),
        tag_entity(role("a"), &[]),
        untag_entity(role("a"), &[]),
        put_inline(role("a"), "b", "{}"),
        delete_inline(role("a"), "b"),
        attach(role("a"), "b"),
        detach(role("a"), "b"),
    ] {
        assert_eq!(least_version(&operation), 3, "{operation:?}");
    }
    for operation in [create_user(0, "a"), delete_entity(user("a")), attach(group("a"), "b")] {
        assert_eq!(least_version(&operation), 1, "{operation:?}");
    }
}
