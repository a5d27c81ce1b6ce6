//! Texts that are in none of the pools.

use serde_json::Value;

use crate::Bytes;
use crate::support::Case;
use crate::support::cases::Draw;

/// What texts are put together of.
const PIECES: [&str; 20] = [
    "*",
    "?",
    "a",
    "A",
    "1",
    "kms:",
    "Decrypt",
    "crypt",
    "arn:aws:kms:us-east-1:111122223333:key/",
    ":",
    "/",
    "${aws:username}",
    "${kms:ViaService}",
    "${*}",
    "$",
    "{",
    "}",
    " ",
    "\u{e9}",
    "\u{c9}",
];

/// Keys whose values are no texts: the second evaluator knows some forms of them only.
const TYPED: [&str; 4] =
    ["kms:RotationPeriodInDays", "aws:CurrentTime", "aws:SecureTransport", "aws:SourceIp"];

/// Replaces some texts of a case by others, which may leave policies that are none.
pub fn texts(case: &mut Case, bytes: &mut Bytes<'_>) {
    let all = case.key.iter_mut().chain(&mut case.identity);
    for policy in all.chain(&mut case.boundary).chain(&mut case.session) {
        within(policy, false, bytes);
    }
    for (key, values, _) in &mut case.context {
        if !TYPED.contains(&key.as_str()) {
            values.iter_mut().for_each(|value| replace(value, bytes));
        }
    }
}

fn within(value: &mut Value, free: bool, bytes: &mut Bytes<'_>) {
    match value {
        Value::String(text) if free => replace(text, bytes),
        Value::Array(items) => items.iter_mut().for_each(|item| within(item, free, bytes)),
        Value::Object(members) => {
            for (name, value) in members {
                let texts = ["Action", "Resource", "String", "Arn"];
                let free = free || texts.iter().any(|part| name.contains(part));
                within(value, free, bytes);
            }
        }
        _ => {}
    }
}

/// Sometimes.
fn replace(text: &mut String, bytes: &mut Bytes<'_>) {
    // Zero, where the bytes end, leaves the text as it is.
    if bytes.below(8) == 7 {
        *text = (0..bytes.below(5)).map(|_| PIECES[bytes.below(PIECES.len())]).collect();
    }
}
