//! Forms as botocore sends them, and replies for `tests/conformance/test_iam_wire.py` to read with
//! botocore: kept in `data`, `KEYSTEAD_BLESS=1` accepts a change of the replies.

use std::path::Path;
use std::{env, fs};

use keystead_api::query::{self, IAM_NAMESPACE};
use keystead_api::shape::{Kind, MemberShape, ValueShape};
use keystead_api::{Message, Wire, decode};
use serde_json::{Map, Value, json};

use crate::operations::{self, Visitor};

#[test]
fn forms_of_botocore_are_read_as_meant() {
    struct Forms(Map<String, Value>);

    impl Visitor for Forms {
        fn operation<I: Message + PartialEq, O: Message>(&mut self, name: &'static str) {
            let entry = self.0.remove(name).unwrap();
            let form = query::parse(entry["form"].as_str().unwrap().as_bytes()).unwrap();
            assert_eq!(form.get("Action"), Some(name));
            let request = entry["request"].to_string();
            let meant = decode::<I>(Wire::AwsJson, request.as_bytes()).unwrap();
            assert_eq!(query::decode::<I>(&form), Ok(meant), "{name}");
        }
    }

    let mut forms = Forms(serde_json::from_str(include_str!("../data/iam-forms.json")).unwrap());
    operations::each_operation(&mut forms);
    assert!(forms.0.is_empty());
}

#[test]
fn replies_are_as_kept() {
    struct Replies(Map<String, Value>);

    impl Visitor for Replies {
        fn operation<I: Message, O: Message>(&mut self, name: &'static str) {
            let full =
                operations::object(O::shape(), &mut |member| sample(member.name, &member.value));
            let empty = Value::Object(Map::new());
            let pair = |meant: Value| {
                let xml =
                    query::encode(name, IAM_NAMESPACE, "id-1", &operations::message::<O>(&meant));
                json!({ "meant": meant, "xml": xml })
            };
            self.0.insert(name.to_owned(), json!([pair(full), pair(empty)]));
        }
    }

    let mut replies = Replies(Map::new());
    operations::each_operation(&mut replies);
    let now = serde_json::to_string_pretty(&replies.0).unwrap() + "\n";
    let path = Path::new("tests/data/iam-replies.json");
    if env::var_os("KEYSTEAD_BLESS").is_some() {
        fs::write(path, &now).unwrap();
    }
    assert!(fs::read_to_string(path).unwrap() == now, "accept with KEYSTEAD_BLESS=1");
}

/// A value that is hard to write, and tells which member it is.
fn sample(name: &str, shape: &'static ValueShape) -> Value {
    match shape.kind {
        Kind::Text | Kind::Blob => format!(" {name}\t<&>\"']]> é\u{2028}😀\r\n").into(),
        Kind::Integer => (-7).into(),
        Kind::Boolean => true.into(),
        Kind::Timestamp => 1_795_525_200.into(),
        Kind::Map => json!({ "a": "b" }),
        Kind::Enum(of) => of().texts.last().copied().into(),
        Kind::Structure(of) => {
            operations::object(of(), &mut |MemberShape { name, value, .. }| sample(name, value))
        }
        Kind::List(item) => (0..3).map(|index| sample(&format!("{name}{index}"), item)).collect(),
    }
}
