//! `keystead explain`, `keystead who-can`, `keystead report`: who may do what, and why.

use anyhow::{Context, Result, bail};
use clap::Args;
use keystead_server::admin::{AdminClient, proto};
use keystead_types::{AccountId, UnixMillis};
use serde_json::{Value, json};

use crate::key::Output;
use crate::output;
use crate::status::NodeArguments;

/// Of which Region, and how the answer is printed.
#[derive(Args)]
struct Shown {
    /// The Region, if the node serves several.
    #[arg(long, value_name = "REGION", default_value = "", hide_default_value = true)]
    region: String,
    /// A table for people or JSON for programs.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// The same as --output json.
    #[arg(long)]
    json: bool,
}

/// Arguments that say what is asked.
#[derive(Args)]
struct Asked {
    /// The action, such as kms:Encrypt.
    #[arg(long)]
    action: String,
    /// The key: its id or ARN, or the name or ARN of an alias.
    #[arg(long, value_name = "KEY")]
    key_id: String,
    /// Whose key or alias it is, where its name does not say it.
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// What the request would say, such as aws:SourceIp=10.0.0.1 or
    /// kms:EncryptionContext:dept=finance; may be given several times.
    #[arg(long = "context", value_name = "KEY=VALUE", value_parser = condition_value)]
    context: Vec<(String, String)>,
}

/// Arguments of `keystead explain`.
#[derive(Args)]
pub struct ExplainArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// The ARN of an account's root or of a user.
    #[arg(long, value_name = "ARN")]
    principal: String,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    shown: Shown,
}

/// Arguments of `keystead who-can`.
#[derive(Args)]
pub struct WhoCanArguments {
    #[command(flatten)]
    node: NodeArguments,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    shown: Shown,
}

/// Arguments of `keystead report`.
#[derive(Args)]
pub struct ReportArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// Which access keys are old: days, as in 90d.
    #[arg(long, value_name = "AGE", default_value = "90d", value_parser = days)]
    older_than: u64,
    #[command(flatten)]
    shown: Shown,
}

/// Runs `keystead explain`: whether it is allowed.
pub async fn explain(arguments: ExplainArguments) -> Result<bool> {
    let request = proto::ExplainRequest {
        region: arguments.shown.region.clone(),
        principal: arguments.principal,
        supposition: Some(arguments.asked.supposition()),
    };
    let answer = arguments.node.connect().await?.api().explain(request).await;
    let told = AdminClient::told(answer)?;
    let decision = told.decision.context("the node told no decision")?;
    let others: Vec<Value> = told.others.iter().map(step).collect();
    if arguments.shown.is_json() {
        let answer = json!({
            "Allowed": decision.allowed,
            "Reason": decision.reason,
            "Principal": told.principal,
            "Action": told.action,
            "KeyArn": told.key,
            "DecidedBy": decision.by.iter().map(source).collect::<Vec<_>>(),
            "Others": others,
            "Notes": told.notes,
            "EvaluatedAtIndex": told.index,
        });
        output::object(true, &answer)?;
    } else {
        output::text(&capitalised(&decision.reason))?;
        output::text(&format!("  {}", told.principal))?;
        output::text(&format!("  {} on {}", told.action, told.key))?;
        if !others.is_empty() {
            output::text("")?;
            let rows: Vec<Value> = told.others.iter().map(step_for_people).collect();
            output::table(&["Effect", "Of", "Why it did not decide"], &rows)?;
        }
        show_notes(&told.notes)?;
    }
    Ok(decision.allowed)
}

/// Runs `keystead who-can`.
pub async fn who_can(arguments: WhoCanArguments) -> Result<()> {
    let supposition = Some(arguments.asked.supposition());
    let region = arguments.shown.region.clone();
    let request = proto::WhoCanRequest { region, supposition };
    let answer = arguments.node.connect().await?.api().who_can(request).await;
    let told = AdminClient::told(answer)?;
    if arguments.shown.is_json() {
        let able: Vec<Value> = told
            .able
            .iter()
            .map(|able| {
                let decision = able.decision.clone().unwrap_or_default();
                json!({
                    "Principal": able.principal,
                    "Type": able.kind,
                    "Reason": decision.reason,
                    "DecidedBy": decision.by.iter().map(source).collect::<Vec<_>>(),
                })
            })
            .collect();
        let answer = json!({
            "Action": told.action,
            "KeyArn": told.key,
            "Principals": able,
            "Notes": told.notes,
            "EvaluatedAtIndex": told.index,
        });
        return output::object(true, &answer);
    }
    let rows: Vec<Value> = told
        .able
        .iter()
        .map(|able| {
            let by = able.decision.iter().flat_map(|decision| &decision.by);
            let by: Vec<_> = by.map(named).collect();
            json!({ "Principal": able.principal, "Type": able.kind, "Allowed by": by.join(" and ") })
        })
        .collect();
    output::table(&["Principal", "Type", "Allowed by"], &rows)?;
    show_notes(&told.notes)
}

/// Runs `keystead report`.
pub async fn report(arguments: ReportArguments) -> Result<()> {
    let region = arguments.shown.region.clone();
    let request = proto::ReportRequest { region, older_than_ms: arguments.older_than };
    let answer = arguments.node.connect().await?.api().report(request).await;
    let told = AdminClient::told(answer)?;
    let open: Vec<Value> = told
        .open_keys
        .iter()
        .map(|open| json!({ "KeyArn": open.key, "Statement": open.statement, "Sid": open.sid }))
        .collect();
    let old: Vec<Value> = told.old_access_keys.iter().map(access_key).collect();
    let root: Vec<Value> = told.root_access_keys.iter().map(access_key).collect();
    if arguments.shown.is_json() {
        let answer = json!({
            "OpenKeys": open,
            "OldAccessKeys": old,
            "RootAccessKeys": root,
            "EvaluatedAtIndex": told.index,
        });
        return output::object(true, &answer);
    }
    let days = arguments.older_than / DAY_MS;
    let access_keys = ["AccessKeyId", "Owner", "AgeDays", "Status"];
    section("Keys that are open to everybody", &["KeyArn", "Statement", "Sid"], &open)?;
    output::text("")?;
    section(&format!("Access keys older than {days} days"), &access_keys, &old)?;
    output::text("")?;
    section("Access keys of roots", &access_keys, &root)
}

impl Shown {
    fn is_json(&self) -> bool {
        self.json || self.output == Output::Json
    }
}

impl Asked {
    fn supposition(self) -> proto::Supposition {
        let context = self.context.into_iter();
        proto::Supposition {
            action: self.action,
            key: self.key_id,
            account: self.account.map(|account| account.to_string()).unwrap_or_default(),
            context: context.map(|(key, value)| proto::ConditionValue { key, value }).collect(),
        }
    }
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Days, as in `90d`, in milliseconds.
fn days(text: &str) -> Result<u64> {
    let number = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok());
    let Some(ms) = number.and_then(|days| days.checked_mul(DAY_MS)) else {
        bail!("say a number of days, as in 90d");
    };
    Ok(ms)
}

fn condition_value(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').context("say KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn source(source: &proto::Source) -> Value {
    let name = (!source.name.is_empty()).then_some(&source.name);
    json!({ "Type": source.kind, "Name": name, "Statement": source.statement, "Sid": source.sid })
}

/// As in `key policy, statement 1 (Enable IAM User Permissions)`.
fn named(source: &proto::Source) -> String {
    let proto::Source { kind, name, statement, sid } = source;
    let mut text =
        if kind == "root" { "being the account's root".to_owned() } else { kind.clone() };
    if !name.is_empty() {
        text.push_str(&format!(" {name}"));
    }
    if let Some(number) = statement {
        text.push_str(&format!(", statement {number}"));
    }
    if let Some(sid) = sid {
        text.push_str(&format!(" ({sid})"));
    }
    text
}

fn effect(step: &proto::Step) -> &'static str {
    if step.denies { "Deny" } else { "Allow" }
}

fn step(step: &proto::Step) -> Value {
    let of = step.source.clone().unwrap_or_default();
    let mut shown = source(&of);
    shown["Effect"] = effect(step).into();
    shown["Applies"] = step.miss.is_none().into();
    shown["Why"] = step.miss.clone().into();
    shown
}

fn step_for_people(step: &proto::Step) -> Value {
    let of = named(&step.source.clone().unwrap_or_default());
    let why = step.miss.as_deref().unwrap_or("it applies, and something else decides");
    json!({ "Effect": effect(step), "Of": of, "Why it did not decide": why })
}

fn access_key(key: &proto::AccessKey) -> Value {
    json!({
        "AccessKeyId": key.id,
        "Owner": key.owner,
        "Created": UnixMillis(key.created_ms).to_string(),
        "AgeDays": key.age_ms / DAY_MS,
        "Status": if key.active { "Active" } else { "Inactive" },
        "Root": key.root,
    })
}

fn section(title: &str, columns: &[&str], rows: &[Value]) -> Result<()> {
    if rows.is_empty() {
        return output::text(&format!("{title}: none."));
    }
    output::text(&format!("{title}:"))?;
    output::table(columns, rows)
}

fn show_notes(notes: &[String]) -> Result<()> {
    for note in notes {
        output::text("")?;
        output::text(&format!("Note: {note}"))?;
    }
    Ok(())
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_in_days() {
        assert_eq!(days("90d").unwrap(), 90 * DAY_MS);
        for text in ["", "d", "90", "-1d", "1.5d", "90 d", "18446744073709551615d"] {
            assert!(days(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_may_have_an_equals_sign() {
        let read = condition_value("kms:EncryptionContext:a=b=c").unwrap();
        assert_eq!(read, ("kms:EncryptionContext:a".into(), "b=c".into()));
        assert!(condition_value("aws:SourceIp").is_err());
    }
}
