//! OIDC providers: whose tokens an account takes, and what ends with them.
#![allow(clippy::unwrap_used)]

mod common;

use common::iam::*;
use common::*;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{self, Reason};
use keystead_state::{Command, least_version};
use keystead_types::Issuer;

const IDP: &str = "idp.example.com/a";

fn issuer(text: &str) -> Issuer {
    text.parse().unwrap()
}

/// A provider, and a role for whose sessions it may answer.
fn provided() -> Replica {
    let mut replica = Replica::initialised();
    for operation in [create_provider(0, IDP), create_role(0, "app"), create_key(1)] {
        replica.run(operation);
    }
    replica
}

fn client_ids(replica: &Replica) -> Vec<String> {
    let provider = replica.view.oidc_provider_of(account(OWNER), &issuer(IDP));
    provider.unwrap().client_ids.clone()
}

#[test]
fn a_provider_is_what_it_was_made_to_be_and_stays_so_on_disk() {
    let mut replica = provided();
    let tags = [("Team".to_owned(), "a".to_owned())].into();
    let more = proto::CreateOidcProvider {
        client_ids: vec!["a".into(), "b".into(), "a".into()],
        thumbprints: vec!["00".into()],
        tags,
        ..new_provider(1, "idp.example.com:8443")
    };
    assert_eq!(replica.run(Operation::CreateOidcProvider(more)), done());
    for _ in 0..2 {
        let view = replica.view.clone();
        let mut all = view.oidc_providers_of(account(OWNER));
        let (first, second) = (all.next().unwrap(), all.next().unwrap());
        assert!(all.next().is_none());
        assert_eq!(
            first.arn().to_string(),
            format!("arn:aws:iam::111122223333:oidc-provider/{IDP}")
        );
        assert_eq!(second.id.to_string(), provider_id(1));
        assert_eq!(second.client_ids, ["a", "b"]);
        assert_eq!((second.thumbprints.as_slice(), second.tags.len()), (&["00".to_owned()][..], 1));
        assert_eq!(view.oidc_provider_at(&first.arn()), Some(first));
        assert!(view.oidc_provider_of(account(ACCOUNTS[1]), &first.issuer).is_none());
        let rows = replica.rows();
        replica.reload();
        assert_eq!(replica.rows(), rows);
    }
}

#[test]
fn an_issuer_has_one_provider_per_account() {
    let mut replica = provided();
    assert_eq!(replica.run(create_provider(1, IDP)), rejected(Reason::OidcProviderExists));
    assert_eq!(replica.run(create_provider(0, "b")), rejected(Reason::UniqueIdExists));
    // Its case and its last slash tell it from others.
    for (number, name) in [(1, "idp.example.com/A"), (2, "idp.example.com/a/")] {
        assert_eq!(replica.run(create_provider(number, name)), done());
    }
    let elsewhere = proto::CreateOidcProvider { account: ACCOUNTS[1], ..new_provider(3, IDP) };
    assert_eq!(replica.run(Operation::CreateOidcProvider(elsewhere)), done());
    for odd in ["", "https://a", "a?b", "a b"] {
        assert_eq!(replica.run(create_provider(4, odd)), rejected(Reason::Malformed), "{odd}");
    }
    let nobody = proto::CreateOidcProvider { account: 7, ..new_provider(4, IDP) };
    let nobody = replica.run(Operation::CreateOidcProvider(nobody));
    assert_eq!(nobody, rejected(Reason::AccountNotFound));
}

#[test]
fn client_ids_come_and_go_up_to_a_hundred() {
    let mut replica = provided();
    assert_eq!(replica.run(add_client_id(IDP, "two")), done());
    assert_eq!(replica.run(add_client_id(IDP, "two")), done());
    assert_eq!(client_ids(&replica), ["one", "two"]);
    assert_eq!(replica.run(remove_client_id(IDP, "one")), done());
    assert_eq!(replica.run(remove_client_id(IDP, "one")), done());
    assert_eq!(client_ids(&replica), ["two"]);
    assert_eq!(replica.run(add_client_id(IDP, "")), rejected(Reason::Malformed));
    for at in 1..100 {
        assert_eq!(replica.run(add_client_id(IDP, &format!("client-{at}"))), done());
    }
    assert_eq!(replica.run(add_client_id(IDP, "more")), rejected(Reason::ClientIdLimit));
    assert_eq!(replica.run(add_client_id(IDP, "two")), done());
    let client_ids: Vec<String> = (0..101).map(|at| at.to_string()).collect();
    let many = proto::CreateOidcProvider { client_ids, ..new_provider(1, "b") };
    let many = replica.run(Operation::CreateOidcProvider(many));
    assert_eq!(many, rejected(Reason::ClientIdLimit));
    for operation in [
        add_client_id("b", "x"),
        remove_client_id("b", "x"),
        put_thumbprints("b", &[]),
        delete_entity(provider("b")),
        tag_entity(provider("b"), &[]),
    ] {
        assert_eq!(replica.run(operation), rejected(Reason::OidcProviderNotFound));
    }
}

#[test]
fn an_account_has_at_most_a_hundred_providers() {
    let mut replica = Replica::initialised();
    for number in 0..100 {
        assert_eq!(replica.run(create_provider(number, &format!("idp-{number}"))), done());
    }
    assert_eq!(replica.run(create_provider(100, "more")), rejected(Reason::OidcProviderLimit));
    replica.run(delete_entity(provider("idp-7")));
    assert_eq!(replica.run(create_provider(100, "more")), done());
}

#[test]
fn what_changed_since_it_was_authorised_is_stale() {
    for change in [
        add_client_id(IDP, "two"),
        remove_client_id(IDP, "one"),
        put_thumbprints(IDP, &["00"]),
        tag_entity(provider(IDP), &[("a", "b")]),
    ] {
        let mut replica = provided();
        let before = replica.view.applied();
        assert_eq!(replica.run(change.clone()), done());
        for later in [change, delete_entity(provider(IDP))] {
            assert_eq!(replica.run_authorised_at(before, later), stale());
        }
    }
}

#[test]
fn nothing_is_decided_in_sessions_whose_provider_is_gone() {
    let mut replica = provided();
    let author = Author::Session(OWNER, 0, START - 1);
    let in_session = |replica: &mut Replica| {
        let command = author.sends(u64::MAX, describe(1, "x"));
        replica.send(&Command { provider_id: provider_id(0), ..command })
    };
    assert_eq!(in_session(&mut replica), done());
    // Client ids decide about new sessions alone.
    replica.run(remove_client_id(IDP, "one"));
    assert_eq!(in_session(&mut replica), done());
    replica.run(delete_entity(provider(IDP)));
    assert_eq!(in_session(&mut replica), stale());
    assert_eq!(replica.run(create_provider(1, IDP)), done());
    assert_eq!(in_session(&mut replica), stale());
    let odd = author.sends(u64::MAX, describe(1, "x"));
    let odd = replica.send(&Command { provider_id: "AOIP".into(), ..odd });
    assert_eq!(odd, rejected(Reason::Malformed));
}

#[test]
fn members_of_an_older_version_are_asked_for_nothing_of_this() {
    for operation in [
        create_provider(0, IDP),
        add_client_id(IDP, "a"),
        remove_client_id(IDP, "a"),
        put_thumbprints(IDP, &[]),
        delete_entity(provider(IDP)),
        tag_entity(provider(IDP), &[]),
        untag_entity(provider(IDP), &[]),
    ] {
        assert_eq!(least_version(&operation), 4, "{operation:?}");
    }
}
