//! `[[client_ca]]`: the authorities of gRPC callers, and whom each speaks for.

use anyhow::{Context, Result, bail};
use keystead_server::{ClientAuthority, Workload};
use keystead_types::{AccountId, IamArn};
use toml::{Table, Value};

use super::read::{Reader, texts};

/// Reads them all.
pub fn authorities(read: &Reader) -> Result<Vec<ClientAuthority>> {
    read.list("client_ca").map(authority).collect()
}

fn authority(table: &Table) -> Result<ClientAuthority> {
    let file = table.get("file").and_then(Value::as_str);
    let file = file.context("client_ca.file is missing")?.into();
    let accounts = table.get("accounts").context("client_ca.accounts is missing")?;
    let accounts = texts(accounts, "client_ca.accounts")?;
    let accounts = accounts
        .iter()
        .map(|account| account.parse().with_context(|| format!("client_ca.accounts: {account:?}")));
    let accounts = accounts.collect::<Result<Vec<_>>>()?;
    let workloads = table.get("spiffe").map_or_else(
        || Ok(Vec::new()),
        |list| workloads(list, &accounts).context("client_ca.spiffe"),
    )?;
    Ok(ClientAuthority { file, accounts, workloads })
}

/// Reads a list of `{ id = "spiffe://…", role = "arn:…" }`, whose roles are of these accounts.
fn workloads(list: &Value, accounts: &[AccountId]) -> Result<Vec<Workload>> {
    let wrong = "it is a list of { id = \"spiffe://…\", role = \"arn:…\" }";
    let workload = |item: &Value| {
        let item = item.as_table().filter(|item| item.len() == 2).context(wrong)?;
        let text = |name| item.get(name).and_then(Value::as_str).context(wrong);
        let (id, role) = (text("id")?, text("role")?);
        let arn: Option<IamArn> = role.parse().ok();
        let arn = arn.filter(|arn| arn.role_name().is_some());
        let arn = arn.with_context(|| format!("{role:?} is no ARN of a role"))?;
        if !accounts.contains(&arn.account) {
            bail!("{role} is of an account that this authority does not speak for");
        }
        Ok(Workload::new(id, arn)?)
    };
    list.as_array().context(wrong)?.iter().map(workload).collect()
}
