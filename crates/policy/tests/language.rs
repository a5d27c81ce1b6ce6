//! What is a policy and what is not, the traps that evaluators fall into, and explanations.

use keystead_policy::{
    Attached, By, Caller, Context, Document, Effect, Kind, Miss, Missing, NamedPrincipal, Policies,
    Query, Reason, Source, StatementRef, Verdict, can_put_key_policy, decide, explain,
};
use proptest::prelude::*;

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn key(text: &str) -> Document {
    Document::parse(Kind::Key, text).unwrap()
}

fn statement(rest: &str) -> String {
    format!(r#"{{"Version": "2012-10-17", "Statement": [{{{rest}}}]}}"#)
}

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

fn alice() -> Caller {
    Caller::user("111122223333".parse().unwrap(), "alice")
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
fn what_is_wrong_is_told_with_its_place() {
    let allow = r#""Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*""#;
    let whole = |text: &str| text.to_owned();
    let with = |rest: &str| statement(&format!("{allow}, {rest}"));
    for (text, place) in [
        (whole(""), "policy"),
        (whole("[]"), "policy"),
        (whole("{}"), "Statement"),
        (whole(r#"{"Statement": []}"#), "Statement"),
        (whole(r#"{"Statement": [7]}"#), "Statement[0]"),
        (whole(r#"{"Version": "2012-10-18", "Statement": {}}"#), "Version"),
        (whole(r#"{"Version": 2012, "Statement": {}}"#), "Version"),
        (whole(r#"{"Version": "2012-10-17", "Version": "2012-10-17"}"#), "Version"),
        (whole(r#"{"Id": {}, "Statement": {}}"#), "Id"),
        (whole(r#"{"Statements": []}"#), "Statements"),
        (whole("{\"Id\": \"\u{100}\"}"), "policy"),
        (with(r#""Conditions": {}"#), "Statement[0].Conditions"),
        (with(r#""Effect": "Allow""#), "Statement[0].Effect"),
        (with(r#""Sid": 1"#), "Statement[0].Sid"),
        (with(r#""NotAction": "kms:*""#), "Statement[0].NotAction"),
        (with(r#""NotPrincipal": "*""#), "Statement[0].NotPrincipal"),
        (statement(r#""Effect": "allow", "Principal": "*""#), "Statement[0].Effect"),
        (statement(r#""Effect": "Allow""#), "Statement[0].Principal"),
        (statement(r#""Effect": "Allow", "NotPrincipal": "*""#), "Statement[0].NotPrincipal"),
        (statement(r#""Effect": "Allow", "Principal": {}"#), "Statement[0].Principal"),
        (statement(r#""Effect": "Allow", "Principal": {"AWS": []}"#), "Statement[0].Principal.AWS"),
        (
            statement(r#""Effect": "Allow", "Principal": {"Aws": "*"}"#),
            "Statement[0].Principal.Aws",
        ),
        (
            statement(
                r#""Effect": "Allow", "Principal": {"AWS": ["*", "arn:aws:iam::111122223333:user/*"]}"#,
            ),
            "Statement[0].Principal.AWS[1]",
        ),
        (
            statement(r#""Effect": "Allow", "Principal": "*", "Action": ["kms:*", "Encrypt"]"#),
            "Statement[0].Action[1]",
        ),
        (
            statement(r#""Effect": "Allow", "Principal": "*", "Resource": "key/1""#),
            "Statement[0].Resource",
        ),
        (with(r#""Condition": []"#), "Statement[0].Condition"),
        (
            with(r#""Condition": {"StringEqual": {"aws:a": "b"}}"#),
            "Statement[0].Condition.StringEqual",
        ),
        (with(r#""Condition": {"Bool": 1}"#), "Statement[0].Condition.Bool"),
        (
            with(r#""Condition": {"StringLike": {"kms:EncryptionAlgoritm": "x"}}"#),
            "Statement[0].Condition.StringLike.kms:EncryptionAlgoritm",
        ),
    ] {
        let error = Document::parse(Kind::Key, &text).expect_err(&text);
        assert!(error.at.starts_with(place), "{text}: {error}");
        assert!(place.contains("Condition.S") || error.at == place, "{text}: {error}");
    }
}

#[test]
fn conditions_are_typed() {
    let check = |operator: &str, key: &str, value: &str| {
        let rest = format!(
            r#""Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
            "Condition": {{"{operator}": {{"{key}": {value}}}}}"#
        );
        Document::parse(Kind::Key, &statement(&rest)).map_err(|error| error.reason)
    };
    for (operator, value) in [
        ("NumericEquals", r#""x""#),
        ("NumericEquals", "true"),
        ("DateLessThan", r#""tomorrow""#),
        ("Bool", r#""yes""#),
        ("Null", "1"),
        ("NullIfExists", "true"),
        ("ForAnyValue:Null", "true"),
        ("ForSomeValues:StringEquals", r#""x""#),
        ("stringequals", r#""x""#),
        ("StringEqualsIfExistsIfExists", r#""x""#),
        ("BinaryEquals", r#""QQ""#),
        ("IpAddress", r#""10.0.0.0/33""#),
        ("ArnLike", r#""arn:aws:iam""#),
        ("ArnLike", r#""user/*""#),
        ("StringEquals", "null"),
        ("StringEquals", "[]"),
        ("StringEquals", "[[]]"),
        ("StringEquals", r#""${aws:username""#),
    ] {
        assert!(check(operator, "aws:userid", value).is_err(), "{operator}: {value}");
    }
    for (operator, value) in [
        ("NumericEquals", "[1, 2.5]"),
        ("StringEquals", "true"),
        ("ForAllValues:StringLikeIfExists", r#"["a*", "b"]"#),
        ("DateLessThan", r#""2026-11-24T10:00:00Z""#),
        ("ArnLike", r#""*""#),
        ("Null", "false"),
    ] {
        assert!(check(operator, "aws:userid", value).is_ok(), "{operator}: {value}");
    }
    for name in ["kms:EncryptionContext:App", "aws:RequestTag/team"] {
        let got = check("ForAllValues:StringEquals", name, r#""x""#);
        assert_eq!(got, Err(Reason::OverlyPermissive));
    }
    for name in ["", "x", ":x", "aws:", "aws:PrincipalTag/", "kms:Nothing", "aws:usernames"] {
        assert!(check("StringEquals", name, r#""x""#).is_err(), "{name}");
    }
    assert!(check("StringEquals", "oidc.example.com:sub", r#""x""#).is_ok());
}

#[test]
fn identity_policies_have_rules_of_their_own() {
    let parse = |text: &str| Document::parse(Kind::Identity, text);
    let allow = r#""Effect": "Allow", "Action": "kms:*", "Resource": "*""#;
    assert!(parse(&statement(allow)).is_ok());
    for extra in [r#""Principal": "*""#, r#""NotPrincipal": "*""#, r#""Sid": "two words""#] {
        assert!(parse(&statement(&format!("{allow}, {extra}"))).is_err(), "{extra}");
    }
    let twice = format!(r#"{{"Statement": [{{"Sid": "a", {allow}}}, {{"Sid": "a", {allow}}}]}}"#);
    assert_eq!(parse(&twice).unwrap_err().at, "Statement[1].Sid");
    for lacking in [r#""Effect": "Allow", "Action": "*""#, r#""Effect": "Allow", "Resource": "*""#]
    {
        assert_eq!(parse(&statement(lacking)).unwrap_err().reason, Reason::Missing);
    }
    // White space does not count there, and counts in key policies.
    let padded = format!("{}{}", statement(allow), " ".repeat(33_000));
    assert!(parse(&padded).is_ok());
    let padded = Document::parse(Kind::Key, &padded).unwrap_err();
    assert_eq!(padded.reason, Reason::TooLarge(32_768));
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let text = format!("{}1{}", open.repeat(5_000), close.repeat(5_000));
        assert!(Document::parse(Kind::Key, &text).is_err());
    }
}

#[test]
fn named_principals_are_listed() {
    let document = key(&statement(
        r#""Effect": "Allow", "Principal": {"AWS": ["111122223333",
        "arn:aws:iam::444455556666:user/team/bob", "AIDAEXAMPLEUSER00001"]}"#,
    ));
    let named: Vec<_> = document.principals().cloned().collect();
    let account = NamedPrincipal::Account("111122223333".parse().unwrap());
    let bob = NamedPrincipal::Arn("arn:aws:iam::444455556666:user/team/bob".to_owned());
    let id = NamedPrincipal::UniqueId("AIDAEXAMPLEUSER00001".to_owned());
    assert_eq!(named, [account, bob, id]);
    for text in [
        "",
        "1111222233334",
        "arn:aws:iam::111122223333:group/g",
        "arn:aws:iam::x:root",
        "arn:aws:iam::111122223333:user/",
        "arn:aws:iam::111122223333:user/a//b",
        "arn:aws:iam::111122223333:root/",
        "arn:aws:sts::111122223333:assumed-role/r",
        "arn:aws:iam:us-east-1:111122223333:root",
        "arn:aws:kms::111122223333:root",
        "alice",
        "arn:aws:iam::*:root",
        "AIDA",
        "arn:aws:sts::111122223333:assumed-role/r/*",
    ] {
        assert!(NamedPrincipal::parse_aws(text).is_err(), "{text}");
    }
}

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
    assert_eq!(can_put_key_policy(&query, &policies), false);
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

#[test]
fn the_default_policy_is_one() {
    let account = "111122223333".parse().unwrap();
    let document = key(&keystead_policy::default_key_policy(account));
    assert!(document.principals().eq([&NamedPrincipal::Account(account)]));
}

/// JSON that is often nearly a policy.
fn nearly_a_policy() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let words = prop::sample::select(vec![
        "*",
        "Allow",
        "Deny",
        "kms:*",
        "2012-10-17",
        "arn:aws:iam::111122223333:root",
        "${a:b}",
        "${",
        "true",
        "10.0.0.0/8",
        "a:b:c",
        "arn:aws:kms:::x",
        "1",
    ]);
    let names = prop::sample::select(vec![
        "Version",
        "Statement",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "Resource",
        "Sid",
        "NotResource",
        "Condition",
        "AWS",
        "Service",
        "StringLike",
        "ArnLike",
        "Bool",
        "Null",
        "NumericEquals",
        "DateEquals",
        "IpAddress",
        "aws:username",
        "kms:KeySpec",
        "Id",
    ]);
    let leaf = prop_oneof![
        words.prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|fields| {
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Value>()
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = Document::parse(Kind::Key, &text);
        let _ = Document::parse(Kind::Identity, &text);
    }

    #[test]
    fn no_json_makes_the_parser_panic(json in nearly_a_policy(), wrap in any::<bool>()) {
        let json = if wrap {
            serde_json::json!({"Statement": {"Effect": "Allow", "Principal": "*",
                "Action": json, "Resource": json, "Condition": {"StringLike": {"aws:a": json}}}})
        } else {
            json
        };
        let _ = Document::parse(Kind::Key, &json.to_string());
        let _ = Document::parse(Kind::Identity, &json.to_string());
    }

    #[test]
    fn no_texts_make_conditions_panic(pattern in ".{0,24}", given in ".{0,24}") {
        for operator in ["StringLike", "StringEqualsIgnoreCase", "ArnLike", "NumericEquals",
            "DateEquals", "Bool", "BinaryEquals", "IpAddress"]
        {
            let json = serde_json::json!({"Version": "2012-10-17", "Statement": {
                "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*",
                "Condition": {operator: {"aws:userid": pattern}}}});
            let Ok(document) = Document::parse(Kind::Key, &json.to_string()) else { continue };
            let mut context = Context::new();
            context.add("aws:userid", given.as_str());
            let caller = alice();
            let query = Query { caller: &caller, action: &given, resource: &given,
                owner: "111122223333".parse().unwrap(), context: &context,
                encryption_context: &[] };
            let _ = decide(&query, &Policies { key: Some(&document), ..Policies::default() });
        }
    }
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
