//! What the kernel saw: for every mutation the log on disk, then the sync, then the reply.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::{Common, Outcome};
use crate::client::{Client, Reply};
use crate::node::{Mode, Node};
use crate::trace::{self, Call};

const TRACE: &str = "trace";
const TRACED: &str = "trace=write,writev,pwrite64,fsync,fdatasync,sendto,sendmsg";
/// Bytes of each call that are written to the trace: all of a log record, and a reply's headers.
const SHOWN: &str = "8192";

/// Arguments of `syscalls`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// How many mutations, one after the other, and as many reads.
    #[arg(long, default_value_t = 200)]
    count: usize,
    /// Succeed only when mutations were acknowledged without a sync: for builds that lack it.
    #[arg(long)]
    expect_unsynced: bool,
}

/// A mutation as its client saw it.
struct Acknowledged {
    request_id: String,
    index: u64,
}

/// Runs mutations under `strace` and looks for each one's write, sync and reply.
///
/// # Errors
/// The node, `strace` or a call failed.
pub async fn run(options: &Options) -> Result<Outcome> {
    let mut node = Node::start_by(&options.common.binary, Mode::Server, tracer).await?;
    let mut client = Client::new(node.target().clone());
    let acknowledged = drive(&mut client, options).await?;
    node.kill()?;
    let calls = trace::parse(&finished_trace(&node.path(TRACE)).await?);
    let audit = node.audit().display().to_string();

    let mut outcome = Outcome::default();
    let (mut synced, mut unsynced) = (0, 0);
    for mutation in &acknowledged {
        match check(&calls, mutation, &audit) {
            Ok(()) => synced += 1,
            Err(Wrong::Unsynced) => unsynced += 1,
            Err(Wrong::Other(what)) => {
                outcome.violation(format!("request {}: {what}", mutation.request_id));
            }
        }
    }
    let syncs = calls.iter().filter(|call| is_sync(call)).count();
    outcome.figures = format!(
        "{} mutations: {synced} with log write, then sync, then reply; {unsynced} replied before \
         a sync; {} reads; {} calls traced, {syncs} syncs",
        acknowledged.len(),
        options.count,
        calls.len(),
    );
    if options.expect_unsynced {
        outcome.require(unsynced > 0, || "a build without fsync was not caught".into());
    } else {
        outcome.require(unsynced == 0, || format!("{unsynced} mutations replied without a sync"));
    }
    Ok(outcome)
}

/// `strace` as a grandchild, so that the node is the process that is started and killed.
fn tracer(folder: &Path) -> Vec<OsString> {
    let words = ["strace", "-D", "-f", "-y", "-x", "-s", SHOWN, "-e", TRACED, "-o"];
    let mut words: Vec<OsString> = words.map(OsString::from).into();
    words.push(folder.join(TRACE).into());
    words
}

/// Alternates mutations and reads on one connection.
async fn drive(client: &mut Client, options: &Options) -> Result<Vec<Acknowledged>> {
    let mut rng = fastrand::Rng::with_seed(options.common.seed);
    let mut acknowledged = Vec::new();
    let created = client.ok("CreateKey", &json!({})).await?;
    let key = created["KeyMetadata"]["KeyId"].clone();
    for number in 0..options.count {
        let (operation, input) = mutation(number, &key);
        let reply = client.call(operation, &input).await?;
        reply.ok().context(operation)?;
        acknowledged.push(acknowledgement(&reply)?);
        let (operation, input) = match rng.u8(..3) {
            0 => ("DescribeKey", json!({ "KeyId": key })),
            1 => ("Encrypt", json!({ "KeyId": key, "Plaintext": "AAAA" })),
            _ => ("ListAliases", json!({})),
        };
        client.ok(operation, &input).await?;
    }
    Ok(acknowledged)
}

fn mutation(number: usize, key: &Value) -> (&'static str, Value) {
    let alias = format!("alias/a{}", number / 6);
    match number % 6 {
        0 => ("CreateAlias", json!({ "AliasName": alias, "TargetKeyId": key })),
        1 => ("CreateKey", json!({ "Description": alias })),
        2 => ("UpdateKeyDescription", json!({ "KeyId": key, "Description": alias })),
        3 => {
            let tags = json!([{ "TagKey": "number", "TagValue": number.to_string() }]);
            ("TagResource", json!({ "KeyId": key, "Tags": tags }))
        }
        4 => ("UntagResource", json!({ "KeyId": key, "TagKeys": ["number"] })),
        _ => ("DeleteAlias", json!({ "AliasName": alias })),
    }
}

fn acknowledgement(reply: &Reply) -> Result<Acknowledged> {
    Ok(Acknowledged {
        request_id: reply.request_id().context("a reply without its id")?.to_owned(),
        index: reply.index().context("a reply without its index")?,
    })
}

/// Waits for the tracer to write its last line.
async fn finished_trace(path: &Path) -> Result<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let trace = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
        let first = trace.split(' ').next().unwrap_or_default();
        let last = format!("{first} ");
        let ended = |line: &&str| line.starts_with(&last) && line.contains("+++ killed by");
        if trace.lines().rev().take(200).any(|line| ended(&line)) {
            return Ok(trace);
        }
        if Instant::now() > deadline {
            bail!("the trace {} has no end", path.display());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What is wrong with one mutation.
enum Wrong {
    Unsynced,
    Other(&'static str),
}

fn check(calls: &[Call], mutation: &Acknowledged, audit: &str) -> Result<(), Wrong> {
    let id = mutation.request_id.as_bytes();
    let reply = calls
        .iter()
        .find(|call| call.file.starts_with("socket:") && contains(&call.data, id))
        .ok_or(Wrong::Other("its reply is not in the trace"))?;
    let recorded = |call: &&Call| call.file == audit && contains(&call.data, id);
    let recorded = calls.iter().find(recorded);
    if recorded.is_none_or(|call| call.ended >= reply.began) {
        return Err(Wrong::Other("its audit line was not written before its reply"));
    }
    // The key of a log entry's row: its length, and the index in eight bytes.
    let row = [&[8][..], &mutation.index.to_be_bytes()].concat();
    let written = calls
        .iter()
        .find(|call| is_log_write(call) && contains(&call.data, &row))
        .ok_or(Wrong::Other("its entry's write to the log is not in the trace"))?;
    let synced = calls.iter().any(|call| {
        is_sync(call)
            && call.file == written.file
            && call.result == Some(0)
            && call.began > written.ended
            && call.ended < reply.began
    });
    if synced { Ok(()) } else { Err(Wrong::Unsynced) }
}

fn is_log_write(call: &Call) -> bool {
    call.file.ends_with(".log") && call.name.contains("write")
}

fn is_sync(call: &Call) -> bool {
    matches!(call.name.as_str(), "fsync" | "fdatasync") && call.file.ends_with(".log")
}

fn contains(data: &[u8], part: &[u8]) -> bool {
    data.windows(part.len()).any(|window| window == part)
}
