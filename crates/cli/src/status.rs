//! `keystead status`: how a node is, as it says itself; and how commands reach a node.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use keystead_server::admin::proto::{RegionStatus, Role, StatusResponse};
use keystead_server::admin::{AdminClient, AdminSocket, RemoteNode};
use keystead_types::UnixMillis;
use serde_json::{Value, json};

use crate::config::Config;
use crate::key::Output;
use crate::output;

/// Where `keystead server` looks for its configuration, and `keystead dev` puts its data.
const DEFAULT_CONFIG: &str = "keystead.toml";
const DEFAULT_DATA_DIR: &str = "keystead-data";

/// Arguments that name a node: one on this machine by its data folder, any by its address.
#[derive(Args)]
pub struct NodeArguments {
    /// The data folder of the node; else that of ./keystead.toml, else ./keystead-data.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// The configuration file of the node.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The listener for operators (`[admin] listen`) of a node on any machine.
    #[arg(
        long,
        value_name = "HOST:PORT",
        conflicts_with_all = ["data_dir", "config"],
        requires_all = ["ca", "cert", "key"]
    )]
    address: Option<String>,
    /// With --address: PEM file with the authority of the node's certificate.
    #[arg(long, value_name = "FILE", requires = "address")]
    ca: Option<PathBuf>,
    /// With --address: PEM file with the operator's certificate chain.
    #[arg(long, value_name = "FILE", requires = "address")]
    cert: Option<PathBuf>,
    /// With --address: PEM file with the operator's private key.
    #[arg(long, value_name = "FILE", requires = "address")]
    key: Option<PathBuf>,
}

impl NodeArguments {
    /// A connection to the node's admin API.
    pub async fn connect(&self) -> Result<AdminClient> {
        if let Some(node) = self.remote() {
            return Ok(AdminClient::connect_to(&node).await?);
        }
        Ok(AdminClient::connect(&self.data_dir()?.join(AdminSocket::NAME)).await?)
    }

    /// The node of --address, which comes with all the others.
    fn remote(&self) -> Option<RemoteNode> {
        Some(RemoteNode {
            address: self.address.clone()?,
            authority: self.ca.clone()?,
            certificate: self.cert.clone()?,
            key: self.key.clone()?,
        })
    }

    fn data_dir(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.data_dir {
            return Ok(folder.clone());
        }
        match &self.config {
            Some(file) => Ok(Config::load(file)?.data_dir),
            None if Path::new(DEFAULT_CONFIG).exists() => {
                Ok(Config::load(Path::new(DEFAULT_CONFIG))?.data_dir)
            }
            None => Ok(DEFAULT_DATA_DIR.into()),
        }
    }
}

/// Arguments of `keystead status`.
#[derive(Args)]
pub struct StatusArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// A table for people or JSON for programs.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Runs `keystead status`.
pub async fn run(arguments: StatusArguments) -> Result<()> {
    let status = arguments.node.connect().await?.status().await?;
    match arguments.output {
        Output::Json => output::object(true, &as_json(&status)),
        Output::Table => {
            let (columns, rows) = as_table(&status);
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            output::table(&columns, &rows)
        }
    }
}

fn as_json(status: &StatusResponse) -> Value {
    let regions: Vec<_> = status.regions.iter().map(region_as_json).collect();
    json!({ "Version": status.version, "Regions": regions })
}

fn region_as_json(region: &RegionStatus) -> Value {
    let mut members = serde_json::Map::new();
    members.insert("Region".into(), region.name.as_str().into());
    members.extend(facts(region).map(|(name, _, value)| (name.to_owned(), value)));
    Value::Object(members)
}

/// A column for each Region, a line for each fact.
fn as_table(status: &StatusResponse) -> (Vec<String>, Vec<Value>) {
    let names = status.regions.iter().map(|region| region.name.clone());
    let columns = std::iter::once("Region".to_owned()).chain(names).collect();
    let mut rows = Vec::<Value>::new();
    for region in &status.regions {
        for (at, (_, label, value)) in facts(region).enumerate() {
            if rows.len() == at {
                rows.push(json!({ "Region": label }));
            }
            rows[at][&region.name] = value;
        }
    }
    rows.push(json!({ "Region": "Software" }));
    let last = rows.len() - 1;
    for region in &status.regions {
        rows[last][&region.name] = status.version.as_str().into();
    }
    (columns, rows)
}

/// What is said of a Region: the name for programs, the name for people, the value.
fn facts(region: &RegionStatus) -> impl Iterator<Item = (&'static str, &'static str, Value)> {
    let role = match region.role() {
        Role::Unspecified => "unknown",
        Role::Learner => "learner",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
        Role::Stopping => "stopping",
    };
    let snapshot = region.snapshot.as_ref();
    [
        ("ClusterId", "Cluster", json!(region.cluster_id)),
        ("NodeId", "Node", json!(region.node_id)),
        ("Role", "Role", json!(role)),
        ("Leader", "Leader", json!(region.leader)),
        ("Term", "Term", json!(region.term)),
        ("LastLogIndex", "Last log entry", json!(region.last_log)),
        ("AppliedIndex", "Applied", json!(region.applied)),
        ("SnapshotIndex", "Snapshot", json!(snapshot.map(|snapshot| snapshot.index))),
        ("SnapshotDigest", "Snapshot digest", json!(snapshot.map(|snapshot| &snapshot.digest))),
        ("PurgedIndex", "Purged", json!(region.purged)),
        ("Accounts", "Accounts", json!(region.accounts)),
        ("Keys", "Keys", json!(region.keys)),
        ("ClusterVersion", "Cluster version", json!(region.cluster_version)),
        ("Clock", "Clock", json!(UnixMillis(region.clock_ms).to_string())),
        ("DiskFull", "Disk full", json!(region.disk_full)),
        ("Failure", "Failure", json!(region.failure)),
    ]
    .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_regions() -> StatusResponse {
        let region = |name: &str, keys| RegionStatus {
            name: name.into(),
            role: Role::Leader.into(),
            keys,
            ..RegionStatus::default()
        };
        let regions = vec![region("us-east-1", 3), region("eu-west-1", 4)];
        StatusResponse { version: "9.8.7".into(), regions }
    }

    #[test]
    fn the_table_has_a_column_for_each_region() {
        let (columns, rows) = as_table(&two_regions());
        assert_eq!(columns, ["Region", "us-east-1", "eu-west-1"]);
        let row = |label: &str| rows.iter().find(|row| row["Region"] == label).unwrap().clone();
        assert_eq!(row("Keys"), json!({ "Region": "Keys", "us-east-1": 3, "eu-west-1": 4 }));
        assert_eq!(row("Role")["eu-west-1"], "leader");
        assert_eq!(row("Software")["us-east-1"], "9.8.7");
    }

    #[test]
    fn json_says_null_for_what_is_not_there() {
        let status = as_json(&two_regions());
        assert_eq!(status["Version"], "9.8.7");
        assert_eq!(status["Regions"][1]["Region"], "eu-west-1");
        assert_eq!(status["Regions"][1]["Keys"], 4);
        assert!(status["Regions"][0].as_object().unwrap()["Leader"].is_null());
    }
}
