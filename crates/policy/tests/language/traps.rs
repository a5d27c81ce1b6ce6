//! What evaluators are known to get wrong.

use keystead_policy::{Caller, Context, Policies, Query, Verdict, decide};

use crate::{KEY, alice, key, statement};

/// Asks for kms:Encrypt of a key that has one statement more than one that allows all.
fn ask(caller: &Caller, rest: &str, context: &Context, resource: &str) -> bool {
    let text = if rest.contains("Deny") {
        format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": "*",
            "Action": "kms:*", "Resource": "*"}}, {{{rest}}}]}}"#
        )
    } else {
        statement(rest)
    };
    let query = Query {
        caller,
        action: "kms:Encrypt",
        resource,
        owner: "111122223333".parse().unwrap(),
        context,
        encryption_context: &[],
    };
    decide(&query, &Policies { key: Some(&key(&text)), ..Policies::default() }).is_allow()
}

#[test]
fn a_provider_is_not_another_that_begins_alike() {
    // Providers have no key policies to pass, so the principal itself is asked.
    let caller = Caller::federated_provider("accounts.google.com.evil.com");
    let deny = r#""Effect": "Deny", "Principal": {"Federated": "accounts.google.com"},
        "Action": "kms:*", "Resource": "*""#;
    let verdict = |caller: &Caller| {
        let context = Context::new();
        let query = Query {
            caller,
            action: "kms:Encrypt",
            resource: KEY,
            owner: "111122223333".parse().unwrap(),
            context: &context,
            encryption_context: &[],
        };
        let key = key(&statement(deny));
        matches!(
            decide(&query, &Policies { key: Some(&key), ..Policies::default() }),
            Verdict::ExplicitDeny(_)
        )
    };
    assert!(!verdict(&caller));
    assert!(verdict(&Caller::federated_provider("accounts.google.com")));
}

#[test]
fn the_value_of_a_variable_is_no_pattern() {
    let rest = r#""Effect": "Allow", "Principal": "*", "Action": "kms:*",
        "Resource": "arn:aws:kms:us-east-1:111122223333:key/${aws:username}""#;
    let mut context = Context::new();
    context.add("aws:username", "*");
    assert!(!ask(&alice(), rest, &context, KEY));
    assert!(ask(&alice(), rest, &context, "arn:aws:kms:us-east-1:111122223333:key/*"));
}

#[test]
fn arn_equals_takes_wildcards() {
    let rest = r#""Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*",
        "Condition": {"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:user/*"}}"#;
    let mut context = Context::new();
    context.add("aws:PrincipalArn", alice().principal_arn());
    assert!(!ask(&alice(), rest, &context, KEY));
    assert!(ask(&alice(), rest, &Context::new(), KEY));
}

#[test]
fn a_boolean_may_come_as_text() {
    let rest = r#""Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": false}}"#;
    for (given, allowed) in [("false", false), ("False", false), ("true", true)] {
        let mut context = Context::new();
        context.add("aws:securetransport", given);
        assert_eq!(ask(&alice(), rest, &context, KEY), allowed, "{given}");
    }
}

#[test]
fn bytes_are_compared_as_bytes() {
    let rest = r#""Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
        "Condition": {"BinaryEquals": {"app:digest": "QUJD"}}"#;
    for (given, allowed) in [("QUJD", true), ("qujd", false)] {
        let mut context = Context::new();
        context.add("app:digest", given);
        assert_eq!(ask(&alice(), rest, &context, KEY), allowed, "{given}");
    }
}

#[test]
fn a_role_is_all_its_sessions_and_several_kinds_of_principal_go_together() {
    let account = "111122223333".parse().unwrap();
    let rest = r#""Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {
        "AWS": "arn:aws:iam::111122223333:role/path/app", "Service": "logs.amazonaws.com"}"#;
    let none = Context::new();
    assert!(ask(&Caller::session(account, "path/app", "s"), rest, &none, KEY));
    assert!(!ask(&Caller::session(account, "app", "s"), rest, &none, KEY));
    assert!(ask(&Caller::service("logs.amazonaws.com"), rest, &none, KEY));
    assert!(!ask(&Caller::service("s3.amazonaws.com"), rest, &none, KEY));
}

#[test]
fn the_older_language_is_the_default() {
    for version in ["", r#""Version": "2008-10-17","#] {
        let text = format!(
            r#"{{{version} "Statement": {{"Effect": "Allow", "Principal": "*", "Action": "kms:*",
            "Resource": "arn:aws:kms:us-east-1:111122223333:key/${{aws:username}}"}}}}"#
        );
        let document = key(&text);
        let mut context = Context::new();
        context.add("aws:username", "alice");
        let caller = alice();
        let ask = |resource| {
            let query = Query {
                caller: &caller,
                action: "kms:Encrypt",
                resource,
                owner: "111122223333".parse().unwrap(),
                context: &context,
                encryption_context: &[],
            };
            decide(&query, &Policies { key: Some(&document), ..Policies::default() }).is_allow()
        };
        assert!(!ask("arn:aws:kms:us-east-1:111122223333:key/alice"));
        assert!(ask("arn:aws:kms:us-east-1:111122223333:key/${aws:username}"));
    }
}
