//! What deciding costs: a policy of ten statements, each with conditions, of which the last allows.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use keystead_policy::{Caller, Context, Document, Kind, Policies, Query, decide};
use serde_json::{Value, json};

const DECISIONS: u32 = 200_000;

/// Nine statements that look like the one that allows and are about something else, then that one.
pub(super) fn ten_statements(account: &str) -> Value {
    let root = format!("arn:aws:iam::{account}:root");
    let statement = |number: usize, sources: &str| {
        json!({
            "Sid": format!("statement {number}"),
            "Effect": "Allow",
            "Principal": { "AWS": root },
            "Action": ["kms:Encrypt", "kms:PutKeyPolicy", "kms:DescribeKey"],
            "Resource": "*",
            "Condition": {
                "IpAddress": { "aws:SourceIp": sources },
                "StringEquals": { "kms:KeySpec": "SYMMETRIC_DEFAULT" },
            },
        })
    };
    let others = (0..9).map(|number| statement(number, "192.0.2.0/24"));
    let statements: Vec<Value> = others.chain([statement(9, "0.0.0.0/0")]).collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// Nanoseconds that one decision takes, its context given.
///
/// # Errors
/// The policy is refused, or does not allow.
pub(super) fn nanoseconds(account: &str) -> Result<f64> {
    let document = Document::parse(Kind::Key, &ten_statements(account).to_string())?;
    let owner = account.parse().ok().context("no account")?;
    let caller = Caller::root(owner);
    let mut context = Context::new();
    context.add("aws:SourceIp", "127.0.0.1");
    context.add("kms:KeySpec", "SYMMETRIC_DEFAULT");
    let query = Query {
        caller: &caller,
        action: "kms:Encrypt",
        resource: "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        owner,
        context: &context,
        encryption_context: &[],
    };
    let policies = Policies { key: Some(&document), ..Policies::default() };
    let start = Instant::now();
    for _ in 0..DECISIONS {
        ensure!(decide(black_box(&query), black_box(&policies)).is_allow(), "it is not allowed");
    }
    Ok(start.elapsed().as_secs_f64() * 1e9 / f64::from(DECISIONS))
}
