//! Random forms: valid ones are read as their JSON is, with the same violations, and no form at
//! all gets anything but a message or one of two faults.

use keystead_api::query::{self, FaultCode, Params, encode_document, parse};
use keystead_api::shape::{Kind, MessageShape, ValueShape};
use keystead_api::{ErrorCode, Message, Wire, decode, encode, iam};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value};

use crate::operations::{self, Visitor};

/// Members of a message, most of them there, many of them wrong.
fn object(shape: &'static MessageShape) -> BoxedStrategy<Value> {
    let members: Vec<_> = shape
        .members
        .iter()
        .map(|member| {
            let name = member.name.to_owned();
            proptest::option::weighted(0.8, value(&member.value))
                .prop_map(move |value| value.map(|value| (name.clone(), value)))
        })
        .collect();
    members
        .prop_map(|members| Value::Object(members.into_iter().flatten().collect::<Map<_, _>>()))
        .boxed()
}

fn value(shape: &'static ValueShape) -> BoxedStrategy<Value> {
    match shape.kind {
        Kind::Text | Kind::Blob => {
            let plain = select(vec!["/", "/a/", "bob", "v1", "AKIAIOSFODNN7EXAMPLE", "", "aws:x"]);
            prop_oneof![plain.prop_map(str::to_owned), "\\PC{0,70}", any::<String>()]
                .prop_map(Value::from)
                .boxed()
        }
        Kind::Integer => prop_oneof![-1..1002_i32, any::<i32>()].prop_map(Value::from).boxed(),
        Kind::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        Kind::Timestamp => (0..4_000_000_000_u32).prop_map(Value::from).boxed(),
        Kind::Map => unreachable!("IAM's messages have no maps"),
        Kind::Enum(of) => {
            let texts = of().texts.iter().copied().chain(["", "active"]).collect::<Vec<_>>();
            select(texts).prop_map(Value::from).boxed()
        }
        Kind::Structure(of) => object(of()),
        Kind::List(item) => {
            proptest::collection::vec(value(item), 1..12).prop_map(Value::from).boxed()
        }
    }
}

/// The parameters of a JSON value, as AWS's clients name them.
fn flatten(name: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    let below =
        |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(part, value)| flatten(&below(part), value, pairs));
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&below(&format!("member.{}", index + 1)), value, pairs);
            }
        }
        Value::String(text) => pairs.push((name.to_owned(), text.clone())),
        other => pairs.push((name.to_owned(), other.to_string())),
    }
}

fn form(pairs: &[(String, String)]) -> Params {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode_document(name), encode_document(value)))
        .collect();
    parse(pairs.join("&").as_bytes()).unwrap()
}

/// Whether some structure has no members: a form cannot say that it is there.
fn has_empty_structure(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty() || members.values().any(has_empty_structure),
        Value::Array(items) => items.iter().any(has_empty_structure),
        _ => false,
    }
}

#[test]
fn forms_say_what_json_says() {
    struct Compared {
        accepted: usize,
    }

    impl Visitor for Compared {
        fn operation<I: Message + PartialEq, O: Message>(&mut self, name: &'static str) {
            let mut runner = TestRunner::new(Config::with_cases(100));
            let accepted = std::cell::Cell::new(0);
            let shuffled = object(I::shape()).prop_flat_map(|json| {
                let mut pairs = Vec::new();
                flatten("", &json, &mut pairs);
                (Just(json), Just(pairs).prop_shuffle())
            });
            let result = runner.run(&shuffled, |(json, pairs)| {
                // A form cannot say that there is a structure with nothing in it.
                let nothing = json.as_object().is_some_and(Map::is_empty);
                prop_assume!(nothing || !has_empty_structure(&json));
                let by_form = query::decode::<I>(&form(&pairs));
                let by_json = decode::<I>(Wire::AwsJson, json.to_string().as_bytes());
                accepted.set(accepted.get() + usize::from(by_form.is_ok()));
                match (by_form, by_json) {
                    (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
                    (Err(ours), Err(theirs)) => {
                        prop_assert_eq!(ours.code(), FaultCode::ValidationError);
                        prop_assert_eq!(theirs.code(), ErrorCode::ValidationException);
                        prop_assert_eq!(Some(ours.message()), theirs.message());
                    }
                    (ours, theirs) => prop_assert!(false, "{:?} and {:?}", ours, theirs),
                }
                Ok(())
            });
            result.unwrap_or_else(|error| panic!("{name}: {error}"));
            self.accepted += accepted.get();
        }
    }

    let mut compared = Compared { accepted: 0 };
    operations::each_operation(&mut compared);
    assert!(compared.accepted > 100, "only {} forms were valid", compared.accepted);
}

/// Reads a form as a message; if it is one, it is valid in every other way too.
fn read<I: Message + PartialEq>(params: &Params) {
    match query::decode::<I>(params) {
        Ok(message) => {
            let json = encode(Wire::AwsJson, &message);
            assert_eq!(decode::<I>(Wire::AwsJson, &json), Ok(message));
        }
        Err(fault) => {
            let expected = [FaultCode::ValidationError, FaultCode::MalformedInput];
            assert!(expected.contains(&fault.code()), "{fault}");
            assert!(fault.message().len() < 20_000, "{fault}");
        }
    }
}

const STEPS: [&str; 22] = [
    "member",
    "member",
    "member",
    "1",
    "1",
    "2",
    "3",
    "0",
    "01",
    "-1",
    "+1",
    "",
    "18446744073709551616",
    "entry",
    "Tags",
    "TagKeys",
    "Key",
    "Value",
    "UserName",
    "MaxItems",
    "OnlyAttached",
    "é",
];

#[test]
fn no_form_does_anything_but_be_read_or_refused() {
    let name =
        proptest::collection::vec(select(&STEPS[..]), 1..7).prop_map(|steps| steps.join("."));
    let text =
        prop_oneof![select(vec!["", "a", "1", "true", "-0", "1e9"]), Just("\u{0}\u{10ffff}")];
    let pairs = proptest::collection::btree_map(name, text.prop_map(str::to_owned), 0..12);
    let mut runner = TestRunner::new(Config::with_cases(200_000));
    let result = runner.run(&pairs, |pairs| {
        let pairs: Vec<_> = pairs.into_iter().filter(|(name, _)| !name.is_empty()).collect();
        let params = form(&pairs);
        read::<iam::CreateUserRequest>(&params);
        read::<iam::TagPolicyRequest>(&params);
        read::<iam::UntagUserRequest>(&params);
        read::<iam::ListPoliciesRequest>(&params);
        Ok(())
    });
    result.unwrap();
}

#[test]
fn depth_and_number_are_bounded_by_the_form() {
    let deep = "Tags".to_owned() + &".member.1".repeat(28);
    let many: Vec<_> = (1..=1000).map(|i| (format!("Tags.member.{i}.Key"), "k".into())).collect();
    let alone = vec![(deep, "x".to_owned())];
    for pairs in [alone, many] {
        read::<iam::CreateUserRequest>(&form(&pairs));
    }
}
