//! How long a cluster that has lost its leader takes no changes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use keystead_api::{Wire, kms};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::cluster::{Cluster, NODES};
use crate::grpc::Client;
use crate::kms::Kms;

/// How often another mutation is sent through each of the nodes that are left.
const INTERVAL: Duration = Duration::from_millis(10);
/// How long each of them may take. Together they are fewer than one connection carries.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the cluster may take before it counts as lost.
const LIMIT: Duration = Duration::from_secs(15);

/// A connection to each node, open before anything happens.
pub(super) struct Probe {
    clients: Vec<Client>,
    /// A mutation that may be repeated at will: it enables a key that is enabled.
    message: Bytes,
}

impl Probe {
    /// Makes a key of its own to try mutations on.
    ///
    /// # Errors
    /// The first node does not make it.
    pub(super) async fn new(cluster: &Cluster) -> Result<Self> {
        let target = |node| cluster.target(node, Wire::Proto);
        let description = Some("the probe's".to_owned());
        let input = kms::CreateKeyRequest { description, ..Default::default() };
        let created = Kms::new(target(0), Wire::Proto, LIMIT).call(&input, "the probe").await?;
        let created: kms::CreateKeyResponse = match created.result {
            Ok(created) => created,
            Err(refusal) => bail!("CreateKey was refused: {}", refusal.code),
        };
        let key_id = created.key_metadata.context("no metadata")?.key_id;
        let message = keystead_api::encode(Wire::Proto, &kms::EnableKeyRequest { key_id });
        let client = |node| Client::new(target(node)).with_patience(PATIENCE);
        Ok(Self { clients: (0..NODES).map(client).collect(), message })
    }

    /// Opens the connections that are not open.
    pub(super) async fn warm_up(&mut self) {
        for client in &mut self.clients {
            attempt(client, &self.message).await;
        }
    }

    /// The time from the loss of a node to the first reply to a mutation that was sent after it;
    /// none if there is no reply for too long.
    pub(super) async fn outage(&self, lost: usize, since: Instant) -> Option<Duration> {
        let (mut attempts, mut ticks) = (JoinSet::new(), tokio::time::interval(INTERVAL));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while since.elapsed() < LIMIT {
            tokio::select! {
                Some(Ok(true)) = attempts.join_next() => return Some(since.elapsed()),
                _ = ticks.tick() => {
                    for (node, client) in self.clients.iter().enumerate() {
                        let (mut client, message) = (client.clone(), self.message.clone());
                        if node != lost {
                            attempts.spawn(async move { attempt(&mut client, &message).await });
                        }
                    }
                }
            }
        }
        None
    }
}

async fn attempt(client: &mut Client, message: &[u8]) -> bool {
    client.call("EnableKey", message, &[]).await.is_ok_and(|answer| answer.code() == "OK")
}
