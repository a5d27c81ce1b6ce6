//! Who gives rights and revokes them. What it does is certain: it repeats each call, through any
//! node, until it is acknowledged.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use fastrand::Rng;
use keystead_api::{Message, Wire};

use super::clock::Clock;
use crate::cluster::{Cluster, NODES};
use crate::kms::{Answer, Kms};

/// How long it waits for one reply.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long it goes on with one call.
const PERSISTENCE: Duration = Duration::from_secs(30);
/// What it waits between two attempts of one call, at most.
const PAUSE: u64 = 50;

pub(super) struct Owner {
    rng: Rng,
    clock: Clock,
    nodes: Vec<Kms>,
}

/// What was done, and when.
pub(super) struct Acknowledged<O> {
    pub(super) output: O,
    /// When the first attempt began.
    pub(super) invoked: u64,
    pub(super) acknowledged: u64,
    pub(super) index: Option<u64>,
}

impl Owner {
    pub(super) fn new(cluster: &Cluster, wire: Wire, clock: Clock, rng: Rng) -> Self {
        let client = |node| Kms::new(cluster.target(node, wire), wire, PATIENCE);
        Self { rng, clock, nodes: (0..NODES).map(client).collect() }
    }

    pub(super) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Calls until there is a reply that says what came of it.
    ///
    /// # Errors
    /// It is refused, or nobody replies for too long.
    pub(super) async fn persist<I: Message, O: Message>(
        &mut self,
        input: &I,
    ) -> Result<Acknowledged<O>> {
        let invocation = format!("{:032x}", self.rng.u128(..));
        let (start, invoked) = (Instant::now(), self.clock.now());
        loop {
            let node = self.rng.usize(..NODES);
            let said = match self.nodes[node].call(input, &invocation).await {
                Ok(Answer { result: Ok(output), index }) => {
                    let acknowledged = self.clock.now();
                    return Ok(Acknowledged { output, invoked, acknowledged, index });
                }
                Ok(Answer { result: Err(refusal), .. }) if !refusal.passing => {
                    bail!("{} through node {node}: {}", I::NAME, refusal.code);
                }
                Ok(Answer { result: Err(refusal), .. }) => refusal.code,
                Err(error) => format!("{error:#}"),
            };
            if start.elapsed() > PERSISTENCE {
                bail!("{} did not succeed in {PERSISTENCE:?}: {said}", I::NAME);
            }
            tokio::time::sleep(Duration::from_millis(self.rng.u64(..PAUSE))).await;
        }
    }
}

impl<O> Acknowledged<O> {
    /// The same, without what it says.
    pub(super) fn done(self) -> Acknowledged<()> {
        let Self { invoked, acknowledged, index, .. } = self;
        Acknowledged { output: (), invoked, acknowledged, index }
    }
}
