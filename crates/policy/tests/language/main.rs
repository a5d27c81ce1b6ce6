//! What is a policy and what is not, the traps that evaluators fall into, and explanations.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod explanations;
mod random;
mod refusals;
mod traps;

use keystead_policy::{Caller, Document, Kind};

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn key(text: &str) -> Document {
    Document::parse(Kind::Key, text).unwrap()
}

fn statement(rest: &str) -> String {
    format!(r#"{{"Version": "2012-10-17", "Statement": [{{{rest}}}]}}"#)
}

fn alice() -> Caller {
    Caller::user("111122223333".parse().unwrap(), "alice")
}
