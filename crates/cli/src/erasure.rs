//! `keystead key erasure-status`: where copies of lost material may still be.

use anyhow::Result;
use clap::Args;
use keystead_server::admin::{AdminClient, proto};
use keystead_types::UnixMillis;
use serde_json::{Value, json};

use crate::output;
use crate::status::NodeArguments;

/// Arguments of `keystead key erasure-status`.
#[derive(Args)]
pub struct ErasureArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// The Region, if the node serves several.
    #[arg(long, value_name = "REGION", default_value = "", hide_default_value = true)]
    region: String,
    /// Key id or ARN; the key may be deleted.
    #[arg(long)]
    key_id: String,
}

/// Runs it.
pub async fn status(json: bool, arguments: ErasureArguments) -> Result<()> {
    let ErasureArguments { node, region, key_id: key } = arguments;
    let request = proto::ErasureStatusRequest { region, key };
    let answer = node.connect().await?.api().erasure_status(request).await;
    let told = AdminClient::told(answer)?;
    if json { output::object(true, &as_json(&told)) } else { show(&told) }
}

fn as_json(told: &proto::ErasureStatusResponse) -> Value {
    let node = |node: &proto::NodeErasure| {
        json!({
            "Name": node.name,
            "NodeId": node.node_id,
            "ErasedAt": time(node.erased_ms),
        })
    };
    json!({
        "KeyArn": told.key,
        "KeyExists": told.exists,
        "MaterialLostAt": time(told.lost_ms),
        "MaterialLostAtIndex": told.lost_ms.map(|_| told.lost_index),
        "Erased": told.lost_ms.is_some() && is_everywhere(told),
        "Nodes": told.nodes.iter().map(node).collect::<Vec<_>>(),
    })
}

fn show(told: &proto::ErasureStatusResponse) -> Result<()> {
    let Some(lost) = time(told.lost_ms) else {
        return output::text(&format!("{} has not lost any material", told.key));
    };
    let exists = if told.exists { "lost material" } else { "was deleted" };
    output::text(&format!("{} {exists} at {lost}", told.key))?;
    let rows: Vec<Value> = told.nodes.iter().map(row).collect();
    output::table(&["Node", "Name", "Erased"], &rows)?;
    if is_everywhere(told) {
        return output::line("No member has a copy of it on its disk any more.");
    }
    output::line("Members without a time may have a copy of it on their disks.")
}

fn row(node: &proto::NodeErasure) -> Value {
    let erased = time(node.erased_ms).unwrap_or_else(|| "not yet".into());
    json!({ "Node": node.node_id, "Name": node.name, "Erased": erased })
}

fn is_everywhere(told: &proto::ErasureStatusResponse) -> bool {
    told.nodes.iter().all(|node| node.erased_ms.is_some())
}

fn time(millis: Option<u64>) -> Option<String> {
    millis.map(|millis| UnixMillis(millis).to_string())
}
