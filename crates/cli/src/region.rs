//! `keystead region`: regions that share multi-Region keys.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use keystead_server::admin::{AdminClient, proto};
use keystead_types::{ClusterId, Region, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::key::Output;
use crate::output::{self, line};
use crate::status::NodeArguments;

/// `keystead region`
#[derive(Subcommand)]
pub enum RegionCommand {
    /// Print the card of this region: what operators of other regions connect it by.
    Card(RegionArguments),
    /// The regions that are connected with this one.
    #[command(subcommand)]
    Peer(PeerCommand),
    /// Show how far each peer is behind, and why it was not reached.
    Status {
        #[command(flatten)]
        region: RegionArguments,
        /// A table for people or JSON for programs.
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
}

/// `keystead region peer`
#[derive(Subcommand)]
pub enum PeerCommand {
    /// Connect a region by its card; its operator has to do the same with this one's.
    Add {
        #[command(flatten)]
        region: RegionArguments,
        /// The file with the card, as `keystead region card` printed it there.
        #[arg(value_name = "CARD")]
        card: PathBuf,
        /// Where a node of it serves other regions (`[listen] regions`); once for each node.
        #[arg(long = "endpoint", value_name = "HOST:PORT", required = true)]
        endpoints: Vec<String>,
    },
    /// List the regions that are connected.
    List {
        #[command(flatten)]
        region: RegionArguments,
        /// A table for people or JSON for programs.
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Tell a region nothing more, and take nothing of it.
    Remove {
        #[command(flatten)]
        region: RegionArguments,
        /// The region that goes.
        #[arg(value_name = "REGION")]
        peer: Region,
    },
}

/// A node and, where it serves several, one of its Regions.
#[derive(Args)]
pub struct RegionArguments {
    #[command(flatten)]
    node: NodeArguments,
    /// The Region that is asked, where the node serves several.
    #[arg(long, value_name = "REGION")]
    region: Option<Region>,
}

impl RegionArguments {
    fn name(&self) -> String {
        self.region.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

/// A card in its file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Card {
    region: String,
    /// 32 hexadecimal digits.
    cluster_id: String,
    /// Base64.
    identity: String,
    /// Base64 of DER.
    authority: String,
}

/// Runs `keystead region …`.
pub async fn run(command: RegionCommand) -> Result<()> {
    match command {
        RegionCommand::Card(arguments) => card(arguments).await,
        RegionCommand::Peer(PeerCommand::Add { region, card, endpoints }) => {
            let peer = Some(read_card(&card)?);
            let request = proto::AddRegionPeerRequest { region: region.name(), peer, endpoints };
            let answer = region.node.connect().await?.api().add_region_peer(request).await;
            AdminClient::told(answer).map(|_| ()).map_err(Into::into)
        }
        RegionCommand::Peer(PeerCommand::Remove { region, peer }) => {
            let peer = peer.to_string();
            let request = proto::RemoveRegionPeerRequest { region: region.name(), peer };
            let answer = region.node.connect().await?.api().remove_region_peer(request).await;
            AdminClient::told(answer).map(|_| ()).map_err(Into::into)
        }
        RegionCommand::Peer(PeerCommand::List { region, output }) => list(region, output).await,
        RegionCommand::Status { region, output } => status(region, output).await,
    }
}

async fn card(arguments: RegionArguments) -> Result<()> {
    let request = proto::ShowRegionRequest { region: arguments.name() };
    let answer = arguments.node.connect().await?.api().show_region(request).await;
    let card = AdminClient::told(answer)?;
    let card = Card {
        region: card.region,
        cluster_id: cluster_id(&card.cluster_id),
        identity: STANDARD.encode(card.identity),
        authority: STANDARD.encode(card.authority),
    };
    line(&serde_json::to_string_pretty(&card)?)
}

fn read_card(path: &Path) -> Result<proto::RegionCard> {
    let read = || format!("read the card {}", path.display());
    let text = std::fs::read_to_string(path).with_context(read)?;
    let card: Card = serde_json::from_str(&text).with_context(read)?;
    let cluster: ClusterId = card.cluster_id.parse().with_context(read)?;
    Ok(proto::RegionCard {
        region: card.region,
        cluster_id: cluster.bytes().to_vec(),
        identity: STANDARD.decode(card.identity).with_context(read)?,
        authority: STANDARD.decode(card.authority).with_context(read)?,
    })
}

fn cluster_id(bytes: &[u8]) -> String {
    bytes.try_into().map(|bytes| ClusterId::new(bytes).to_string()).unwrap_or_default()
}

async fn peers(arguments: &RegionArguments) -> Result<proto::ListRegionPeersResponse> {
    let request = proto::ListRegionPeersRequest { region: arguments.name() };
    let answer = arguments.node.connect().await?.api().list_region_peers(request).await;
    Ok(AdminClient::told(answer)?)
}

async fn list(arguments: RegionArguments, format: Output) -> Result<()> {
    let rows = peers(&arguments).await?.peers.into_iter().map(|peer| {
        json!({
            "Region": peer.region,
            "ClusterId": cluster_id(&peer.cluster_id),
            "Endpoints": peer.endpoints.join(" "),
            "Added": UnixMillis(peer.added_ms).to_string(),
        })
    });
    let columns = ["Region", "ClusterId", "Endpoints", "Added"];
    output::rows_of(format, "Peers", &columns, rows.collect())
}

async fn status(arguments: RegionArguments, format: Output) -> Result<()> {
    let found = peers(&arguments).await?;
    if format == Output::Table && found.leader.as_ref() != Some(&found.node) {
        let leader = found.leader.as_deref().unwrap_or("nobody that it knows");
        line(&format!("{} answers; {leader} leads, and carries what waits", found.node))?;
    }
    let rows = found.peers.into_iter().map(|peer| {
        json!({
            "Region": peer.region,
            "Waiting": peer.waiting,
            "OldestSeconds": std::time::Duration::from_millis(peer.oldest_ms).as_secs_f64(),
            "Heard": peer.heard_ms.map(|heard| UnixMillis(heard).to_string()),
            "State": if peer.asked { "was set back" } else { "in step" },
            "LastError": peer.failure,
        })
    });
    let columns = ["Region", "Waiting", "OldestSeconds", "Heard", "State", "LastError"];
    output::rows_of(format, "Peers", &columns, rows.collect())
}
