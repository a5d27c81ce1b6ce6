//! No input may make the crate panic.

use keystead_policy::{Context, Document, Kind, Policies, Query, decide};
use proptest::prelude::*;

use crate::alice;

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
