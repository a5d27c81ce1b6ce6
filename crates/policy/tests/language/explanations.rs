//! What a decision says of itself, and the questions built on decisions.

use keystead_policy::{
    Attached, By, Caller, Context, Document, Effect, Kind, Miss, Missing, Policies, Query, Source,
    StatementRef, Verdict, can_put_key_policy, decide, explain,
};

use crate::{KEY, alice, key, statement};

#[test]
fn explanations_name_the_statement_and_the_reasons() {
    let key = key(r#"{"Version": "2012-10-17", "Statement": [
        {"Sid": "inert", "Effect": "Allow", "Principal": "*", "Action": "kms:*"},
        {"Sid": "others", "Effect": "Allow", "Principal": {"AWS": "444455556666"},
         "Action": "kms:*", "Resource": "*"},
        {"Sid": "via", "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
         "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}},
        {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:Decrypt",
         "Resource": "*"},
        {"Sid": "all", "Effect": "Allow", "Principal": {"AWS": "111122223333"},
         "Action": "kms:*", "Resource": "*"}]}"#);
    let own = Document::parse(
        Kind::Identity,
        &statement(r#""Effect": "Allow", "Action": "kms:*", "Resource": "*""#),
    )
    .unwrap();
    let identity = [Attached { name: "admin", document: &own }];
    let context = Context::new();
    let caller = alice();
    let query = Query {
        caller: &caller,
        action: "kms:Encrypt",
        resource: KEY,
        owner: "111122223333".parse().unwrap(),
        context: &context,
        encryption_context: &[],
    };
    let policies = Policies { key: Some(&key), identity: &identity, ..Policies::default() };
    let (verdict, steps) = explain(&query, &policies);
    assert_eq!(verdict, decide(&query, &policies));
    let all = StatementRef { source: Source::Key, document: "", index: 4, sid: Some("all") };
    let admin = StatementRef { source: Source::Identity, document: "admin", index: 0, sid: None };
    let expected = Verdict::Allow { by: By::Statement(all), and: Some(By::Statement(admin)) };
    assert_eq!(verdict, expected);
    let condition = Miss::Condition { operator: "StringEquals", key: "kms:ViaService" };
    let misses: Vec<_> = steps.iter().map(|step| step.miss).collect();
    let (inert, principal) = (Some(Miss::Inert), Some(Miss::Principal));
    let expected = [None, inert, principal, Some(condition), Some(Miss::Action), None];
    assert_eq!(misses, expected);
    assert!(steps.iter().all(|step| step.effect == Effect::Allow));

    let policies = Policies { identity: &[], ..policies };
    assert_eq!(decide(&query, &policies), Verdict::ImplicitDeny(Missing::Identity));
    assert!(!can_put_key_policy(&query, &policies));
    assert!(can_put_key_policy(&query, &Policies { identity: &identity, ..policies }));
    let root = Caller::root("111122223333".parse().unwrap());
    assert!(can_put_key_policy(&Query { caller: &root, ..query }, &policies));
}

#[test]
fn the_lockout_check_asks_for_the_default_policy() {
    let key = key(&statement(
        r#""Effect": "Allow", "Principal": "*", "Action": "kms:PutKeyPolicy", "Resource": "*",
        "Condition": {"StringEquals": {"kms:PolicyName": "default"}}"#,
    ));
    let mut context = Context::new();
    context.add("kms:PolicyName", "other");
    let caller = alice();
    let query = Query {
        caller: &caller,
        action: "kms:CreateKey",
        resource: KEY,
        owner: "111122223333".parse().unwrap(),
        context: &context,
        encryption_context: &[],
    };
    assert!(can_put_key_policy(&query, &Policies { key: Some(&key), ..Policies::default() }));
}

#[test]
fn without_a_key_policy_the_own_account_decides() {
    let own = Document::parse(
        Kind::Identity,
        &statement(r#""Effect": "Allow", "Action": "kms:*", "Resource": "*""#),
    )
    .unwrap();
    let identity = [Attached { name: "admin", document: &own }];
    let context = Context::new();
    let ask = |caller: &Caller, identity: &[Attached<'_>], owner: &str| {
        let query = Query {
            caller,
            action: "kms:DescribeKey",
            resource: KEY,
            owner: owner.parse().unwrap(),
            context: &context,
            encryption_context: &[],
        };
        decide(&query, &Policies { identity, ..Policies::default() }).is_allow()
    };
    let root = Caller::root("111122223333".parse().unwrap());
    assert!(ask(&alice(), &identity, "111122223333"));
    assert!(!ask(&alice(), &identity, "444455556666"));
    assert!(!ask(&alice(), &[], "111122223333"));
    assert!(ask(&root, &[], "111122223333"));
    assert!(!ask(&root, &[], "444455556666"));
}

/// `cargo test -p keystead-policy --test language -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
fn time_per_decision() {
    let statements: Vec<_> = (0..10)
        .map(|i| {
            serde_json::json!({"Sid": format!("s{i}"), "Effect": "Allow",
                "Principal": {"AWS": [format!("arn:aws:iam::111122223333:user/u{i}"),
                    "arn:aws:iam::111122223333:role/app"]},
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
                "Condition": {"StringEquals": {"kms:EncryptionContext:App": format!("a{i}")},
                    "StringLike": {"kms:ViaService": "*.us-east-1.amazonaws.com"}}})
        })
        .collect();
    let policy = serde_json::json!({"Version": "2012-10-17", "Statement": statements});
    let document = key(&policy.to_string());
    let caller = Caller::session("111122223333".parse().unwrap(), "app", "s");
    let mut context = Context::new();
    context.add("kms:EncryptionContext:App", "a9");
    context.add("kms:ViaService", "s3.us-east-1.amazonaws.com");
    let query = Query {
        caller: &caller,
        action: "kms:Decrypt",
        resource: KEY,
        owner: "111122223333".parse().unwrap(),
        context: &context,
        encryption_context: &[],
    };
    let policies = Policies { key: Some(&document), ..Policies::default() };
    const ROUNDS: u32 = 1_000_000;
    let start = std::time::Instant::now();
    let allowed = (0..ROUNDS)
        .filter(|_| {
            decide(std::hint::black_box(&query), std::hint::black_box(&policies)).is_allow()
        })
        .count();
    println!("{:?} per decision", start.elapsed() / ROUNDS);
    assert_eq!(allowed, ROUNDS as usize);
}
