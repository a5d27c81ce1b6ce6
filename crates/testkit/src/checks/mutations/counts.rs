//! What came back, counted and judged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::calls::Call;
use crate::checks::Outcome;
use crate::client::Reply;
use crate::damage;
use crate::grpc::Answer;

const SHOWN: usize = 10;
/// What the service says before it looks at the body, or to one who may not ask.
const BEFORE_DECODING: &[&str] = &[
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
    "AccessDeniedException",
    "UnknownOperationException",
    "ThrottlingException",
    "RequestEntityTooLarge",
];
/// What the decoder says over gRPC; anything else is about the frame around the message.
const NOT_A_MESSAGE: &str = "The request body is not a valid message.";
const DECODER: &[&str] = &["SerializationException", "ValidationException"];
const NOT_AUTHENTIC: &[&str] =
    &["InvalidSignatureException", "IncompleteSignatureException", "UnrecognizedClientException"];

/// All that came back.
#[derive(Default)]
pub(super) struct Counts {
    json: Mutated,
    grpc: Mutated,
    damaged: BTreeMap<String, usize>,
    /// By kind of failure: how many there were, and one of them.
    failures: BTreeMap<String, (usize, String)>,
}

/// What came back to mutated requests over one wire.
#[derive(Default)]
struct Mutated {
    codes: BTreeMap<String, usize>,
    /// Operations whose decoder refused a body, and those that got beyond it.
    refused: BTreeSet<String>,
    accepted: BTreeSet<String>,
    /// Operations that are not built.
    unbuilt: BTreeSet<String>,
}

impl Counts {
    /// A reply to a mutated request over AWS JSON; `described` shows the request.
    pub(super) fn json(&mut self, operation: &str, reply: &Reply, described: impl Fn() -> String) {
        let code = reply.code();
        if reply.status >= 500 || NOT_AUTHENTIC.contains(&code.as_str()) {
            self.failure(&code, described());
        }
        let body = serde_json::from_slice::<Value>(&reply.body).unwrap_or_default();
        self.json.add(operation, code, body["message"].as_str().unwrap_or_default());
    }

    /// An answer to a mutated request over gRPC.
    pub(super) fn grpc(
        &mut self,
        operation: &str,
        call: &Call,
        answer: &Answer,
        described: impl Fn() -> String,
    ) {
        let code = answer.code();
        let rejected = call.authentic && NOT_AUTHENTIC.contains(&code.as_str());
        if answer.is_failure() || rejected {
            self.failure(&format!("{code} ({}) over gRPC", answer.message()), described());
        }
        if call.known && code == "SerializationException" && answer.message() != NOT_A_MESSAGE {
            self.grpc.count(format!("{code} (frame)"));
        } else if call.known {
            self.grpc.add(operation, code, answer.message());
        } else {
            if code != "UnknownOperationException" {
                self.failure(&format!("{code} for an unknown method"), described());
            }
            self.grpc.count(format!("{code} (unknown method)"));
        }
    }

    /// What came back to a damaged request.
    pub(super) fn damaged(&mut self, answer: &[u8], described: impl Fn() -> String) {
        let kind = damage::kind(answer);
        let status = kind.strip_prefix("HTTP ").or_else(|| kind.strip_prefix("HTTP/2 "));
        if status.is_some_and(|status| status.starts_with('5')) || kind.contains("INTERNAL_ERROR") {
            let text = String::from_utf8_lossy(answer);
            self.failure(&kind, format!("{}: {}", text.escape_debug(), described()));
        }
        *self.damaged.entry(kind).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        self.json.merge(other.json);
        self.grpc.merge(other.grpc);
        merge(&mut self.damaged, other.damaged);
        for (kind, (count, example)) in other.failures {
            self.failures.entry(kind).or_insert((0, example)).0 += count;
        }
    }

    /// Failures whose texts differ in their numbers only are of one kind.
    fn failure(&mut self, text: &str, described: String) {
        let kind = text.split(|letter: char| letter.is_ascii_digit()).collect();
        self.failures.entry(kind).or_insert((0, described)).0 += 1;
    }

    /// Adds everything that should not have been.
    pub(super) fn judge(&self, operations: &[&str], outcome: &mut Outcome) {
        for (kind, (count, example)) in self.failures.iter().take(SHOWN) {
            outcome.violation(format!("{kind}, {count} times, such as for {example}"));
        }
        outcome.require(self.failures.len() <= SHOWN, || {
            format!("{} kinds of failures in all", self.failures.len())
        });
        for (wire, mutated) in [("AWS JSON", &self.json), ("gRPC", &self.grpc)] {
            mutated.judge(wire, operations, outcome);
        }
        outcome.require(self.json.unbuilt == self.grpc.unbuilt, || {
            "an operation is built on one wire only".into()
        });
    }

    pub(super) fn figures(&self) -> String {
        let (json, json_codes) = listed(&self.json.codes);
        let (grpc, grpc_codes) = listed(&self.grpc.codes);
        let (damaged, kinds) = listed(&self.damaged);
        format!(
            "{json} mutated before signing ({json_codes}); {grpc} mutated over gRPC \
             ({grpc_codes}); {damaged} damaged ({kinds}); {} operations reached over AWS JSON, {} \
             over gRPC, {} not built",
            self.json.refused.len(),
            self.grpc.refused.len(),
            self.json.unbuilt.len(),
        )
    }
}

impl Mutated {
    fn add(&mut self, operation: &str, code: String, message: &str) {
        let unbuilt = format!("The operation {operation} is not supported.");
        if code == "UnsupportedOperationException" && message == unbuilt {
            self.unbuilt.insert(operation.to_owned());
        } else if DECODER.contains(&code.as_str()) {
            self.refused.insert(operation.to_owned());
        } else if !BEFORE_DECODING.contains(&code.as_str())
            && !code.starts_with("HTTP")
            && !code.starts_with("gRPC")
        {
            self.accepted.insert(operation.to_owned());
        }
        self.count(code);
    }

    fn count(&mut self, code: String) {
        *self.codes.entry(code).or_default() += 1;
    }

    fn merge(&mut self, other: Self) {
        merge(&mut self.codes, other.codes);
        self.refused.extend(other.refused);
        self.accepted.extend(other.accepted);
        self.unbuilt.extend(other.unbuilt);
    }

    fn judge(&self, wire: &str, operations: &[&str], outcome: &mut Outcome) {
        for name in operations.iter().filter(|name| !self.unbuilt.contains(**name)) {
            outcome.require(self.refused.contains(*name), || {
                format!("no body over {wire} reached the decoder of {name} and was refused there")
            });
            outcome.require(self.accepted.contains(*name), || {
                format!("no body over {wire} got beyond the decoder of {name}")
            });
        }
    }
}

fn merge(counts: &mut BTreeMap<String, usize>, others: BTreeMap<String, usize>) {
    for (code, count) in others {
        *counts.entry(code).or_default() += count;
    }
}

fn listed(counts: &BTreeMap<String, usize>) -> (usize, String) {
    let texts: Vec<String> = counts.iter().map(|(code, count)| format!("{code} {count}")).collect();
    (counts.values().sum(), texts.join(", "))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use tonic::{Code, Status};

    use super::*;

    fn answered(status: Status, known: bool, authentic: bool) -> Vec<String> {
        let request = Request::new(http_body_util::Full::default());
        let call = Call { request, known, authentic };
        let answer = Answer { http_status: 200, status: Some(status), ..Answer::default() };
        let mut counts = Counts::default();
        counts.grpc("Encrypt", &call, &answer, || "bytes".into());
        let mut outcome = Outcome::default();
        counts.judge(&[], &mut outcome);
        outcome.violations
    }

    #[test]
    fn failures_of_the_service_are_violations() {
        for code in [Code::Internal, Code::Unknown, Code::Unavailable, Code::DataLoss] {
            let violations = answered(Status::new(code, "flag 7 of 9"), true, true);
            let said = format!("gRPC {code:?} (flag  of ) over gRPC, 1 times, such as for bytes");
            assert_eq!(violations, [said]);
        }
        assert!(answered(Status::invalid_argument(""), true, true).is_empty());
        assert!(answered(Status::out_of_range(""), true, true).is_empty());
    }

    /// A status whose details hold an `ErrorInfo` with this reason.
    fn with_reason(code: Code, reason: &str) -> Status {
        let field = |tag: u8, value: &[u8]| {
            let length = u8::try_from(value.len()).unwrap();
            [&[tag, length][..], value].concat()
        };
        let info = field(0x0a, reason.as_bytes());
        Status::with_details(code, "", field(0x1a, &field(0x12, &info)).into())
    }

    #[test]
    fn an_unknown_method_is_an_unknown_operation() {
        let unknown = with_reason(Code::Unimplemented, "UnknownOperationException");
        assert!(answered(unknown, false, true).is_empty());
        assert_eq!(answered(Status::unimplemented(""), false, true).len(), 1);
        assert_eq!(answered(Status::ok(""), false, true).len(), 1);
        assert_eq!(answered(Status::invalid_argument(""), false, true).len(), 1);
    }

    #[test]
    fn every_operation_must_be_reached_on_both_wires() {
        let mut outcome = Outcome::default();
        Counts::default().judge(&["Encrypt"], &mut outcome);
        assert_eq!(outcome.violations.len(), 4, "{:?}", outcome.violations);
        let mut counts = Counts::default();
        counts.grpc.unbuilt.insert("Encrypt".into());
        let mut outcome = Outcome::default();
        counts.judge(&[], &mut outcome);
        assert_eq!(outcome.violations, ["an operation is built on one wire only"]);
    }
}
