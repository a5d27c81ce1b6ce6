//! What is no policy, and how that is told.

use keystead_policy::{Document, Kind, NamedPrincipal, Reason};

use crate::{key, statement};

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
fn the_default_policy_is_one() {
    let account = "111122223333".parse().unwrap();
    let document = key(&keystead_policy::default_key_policy(account));
    assert!(document.principals().eq([&NamedPrincipal::Account(account)]));
}
