//! Forms of the query protocol: every form is a message, or is refused in one of two ways, for
//! every operation; and no text breaks a reply.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a panic is what the fuzzer looks for")]

#[path = "../../../crates/api/tests/query/operations.rs"]
mod operations;
mod xml;

use keystead_api::query::{self, Fault, FaultCode, IAM_NAMESPACE, Params, encode_document};
use keystead_api::shape::{Kind, MemberShape, ValueShape};
use keystead_api::{Message, Wire, decode, encode, iam_operations};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| {
    match query::parse(data) {
        Ok(params) => {
            can_be_sent_again(&params);
            operations::each_operation(&mut Read(&params));
        }
        Err(error) => assert!(error.to_string().len() < 512, "{error}"),
    }
    let text = String::from_utf8_lossy(&data[..data.len().min(256)]);
    // One reply at a time; they are all written in the same way.
    let chosen = data.iter().fold(0, |sum, byte| sum + usize::from(*byte)) % iam_operations().len();
    operations::each_operation(&mut Reply { text: &text, name: iam_operations()[chosen].name });
    let fault = Fault::new(FaultCode::InvalidInput, text.clone().into_owned());
    xml::same_elements(
        |text| Fault::new(fault.code(), text.to_owned()).to_xml(IAM_NAMESPACE, text),
        &text,
    );
});

/// Written out, the parameters are read as the same ones.
fn can_be_sent_again(params: &Params) {
    let pairs: Vec<_> = params
        .iter()
        .map(|(name, value)| format!("{}={}", encode_document(name), encode_document(value)))
        .collect();
    let body = pairs.join("&");
    // Encoded, it may be too long.
    if body.len() < 1024 * 1024 {
        assert_eq!(query::parse(body.as_bytes()).as_ref(), Ok(params));
    }
}

/// Reads a form as the request of each operation.
struct Read<'a>(&'a Params);

impl operations::Visitor for Read<'_> {
    fn operation<I: Message + PartialEq, O: Message + PartialEq>(&mut self, name: &'static str) {
        match query::decode::<I>(self.0) {
            Ok(message) => {
                let json = encode(Wire::AwsJson, &message);
                assert_eq!(decode::<I>(Wire::AwsJson, &json), Ok(message), "{name}");
            }
            Err(fault) => {
                let expected = [FaultCode::ValidationError, FaultCode::MalformedInput];
                assert!(expected.contains(&fault.code()), "{name}: {fault}");
                assert!(fault.message().len() < 100_000, "{name}: {fault}");
            }
        }
    }
}

/// Writes the reply of one operation, with the same text in all places.
struct Reply<'a> {
    text: &'a str,
    name: &'static str,
}

impl operations::Visitor for Reply<'_> {
    fn operation<I: Message + PartialEq, O: Message + PartialEq>(&mut self, name: &'static str) {
        if name != self.name {
            return;
        }
        let reply = |text: &str| {
            let json = operations::object(O::shape(), &mut |member| sample(&member.value, text));
            query::encode(name, IAM_NAMESPACE, text, &operations::message::<O>(&json))
        };
        xml::same_elements(reply, self.text);
    }
}

fn sample(shape: &'static ValueShape, text: &str) -> Value {
    match shape.kind {
        Kind::Text | Kind::Blob => text.into(),
        Kind::Integer => json!(text.len()),
        Kind::Boolean => true.into(),
        Kind::Timestamp => (1_795_525_200 + text.len()).into(),
        Kind::Map => json!({}),
        Kind::Enum(of) => of().texts.last().copied().into(),
        Kind::Structure(of) => {
            let mut member = |member: &'static MemberShape| sample(&member.value, text);
            operations::object(of(), &mut member)
        }
        Kind::List(item) => json!([sample(item, text), sample(item, text)]),
    }
}
