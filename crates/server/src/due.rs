//! What a node does without being asked: what falls due, and what it knows of uses of keys.

use std::time::{Duration, Instant};

use keystead_api::Error;
use keystead_state::limits::KEY_USES_AHEAD_MS;
use keystead_state::proto::{self, command};
use keystead_state::{CLUSTER_VERSION, KeyUse, LATE_USES_VERSION, View, least_version};
use keystead_types::KeyId;

use crate::audit::AuditTrail;
use crate::propose;
use crate::region::RegionServer;

/// Keys deleted by one command at most.
const DELETE_AT_ONCE: usize = 100;
/// Keys whose expired material one command takes away at most.
const EXPIRE_AT_ONCE: usize = 100;
/// How often due work is looked for, and the longest an idle clock stands still.
const DUE_INTERVAL: Duration = Duration::from_secs(1);
const IDLE_TICK: Duration = Duration::from_secs(60);
/// How long it may take to tell the rest when a node stops.
const LAST_USES_TIME: Duration = Duration::from_secs(2);

impl RegionServer {
    /// Carries out what falls due, for ever: deletes keys whose window has ended and imported
    /// material that has expired, rotates keys, and moves an idle clock.
    pub async fn run_due_work(&self, audit: &AuditTrail) {
        let mut interval = tokio::time::interval(DUE_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last_tick = Instant::now();
        loop {
            interval.tick().await;
            if !self.view().is_initialised() || !self.node().leads() {
                continue;
            }
            self.raise_version().await;
            let view = self.view();
            let mut work = self.due_work(&view).await;
            if work.is_empty() && last_tick.elapsed() >= IDLE_TICK {
                work.push(command::Operation::Tick(proto::Tick {}));
            }
            for operation in work {
                last_tick = Instant::now();
                match self.propose_system(operation).await {
                    Ok(applied) => self.record_rotations(audit, &applied.outcome),
                    Err(error) => {
                        tracing::warn!(%error, region = %self.name(), "due work was not carried out");
                    }
                }
            }
        }
    }

    /// The commands for what is due, each for a part of it that is not too large.
    async fn due_work(&self, view: &View) -> Vec<command::Operation> {
        // Not by this node's own clock, which may be the one that is wrong.
        let now = self.node().time();
        let mut work = Vec::new();
        let keys = refs(view.keys_expired(now).take(EXPIRE_AT_ONCE));
        if !keys.is_empty() {
            work.push(command::Operation::ExpireMaterials(proto::ExpireMaterials { keys }));
        }
        let keys = refs(view.keys_due(now).take(DELETE_AT_ONCE));
        if !keys.is_empty() {
            work.push(command::Operation::DeleteDueKeys(proto::DeleteDueKeys { keys }));
        }
        if view.uses_known_since().is_none() {
            // A region of an earlier version: from now on all nodes understand such commands.
            work.push(command::Operation::RecordKeyUses(proto::RecordKeyUses::default()));
        }
        if !view.losses_known() {
            let node_id = self.node().id().0;
            work.push(command::Operation::RecordErased(proto::RecordErased {
                node_id,
                through: 0,
            }));
        }
        match self.due_rotations(view, now).await {
            Ok(rotations) => work.extend(rotations),
            Err(error) => {
                tracing::warn!(%error, region = %self.name(), "no material for keys that rotate");
            }
        }
        work.retain(|operation| least_version(operation) <= view.cluster_version());
        work
    }

    /// Raises the cluster version as soon as every member understands a greater one. From then on,
    /// software that does not cannot be a member.
    async fn raise_version(&self) {
        let view = self.view();
        if view.cluster_version() >= CLUSTER_VERSION {
            return;
        }
        let Some(version) = self.node().understood_by_all().await else { return };
        let version = version.min(CLUSTER_VERSION);
        if version <= view.cluster_version() {
            return;
        }
        let raise = command::Operation::RaiseVersion(proto::RaiseVersion { version });
        match self.propose_system(raise).await {
            Ok(_) => {
                tracing::info!(region = %self.name(), version, "the cluster version is raised")
            }
            Err(error) => {
                tracing::warn!(%error, region = %self.name(), "the cluster version was not raised");
            }
        }
    }

    /// Tells the state when keys were last used, for ever: at most one command in an interval, with
    /// what it knows wrong by an interval or more.
    pub async fn run_use_reports(&self) {
        let mut interval = tokio::time::interval(self.use_interval);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let least = u64::try_from(self.use_interval.as_millis()).unwrap_or(u64::MAX);
        loop {
            interval.tick().await;
            if let Err(error) = self.report_uses(least).await {
                tracing::warn!(%error, region = %self.name(), "uses of keys were not told");
            }
        }
    }

    /// Tells the state all that this node knows of uses of keys: the last thing before it stops.
    pub async fn report_last_uses(&self) {
        let telling = async {
            while self.report_uses(0).await? {}
            Ok::<(), Error>(())
        };
        match tokio::time::timeout(LAST_USES_TIME, telling).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, region = %self.name(), "uses of keys are lost")
            }
            Err(_) => {
                tracing::warn!(region = %self.name(), "uses of keys are lost: no time is left")
            }
        }
    }

    /// Proposes one command about uses of keys, if there is anything to tell.
    async fn report_uses(&self, least_ms: u64) -> Result<bool, Error> {
        let view = self.view();
        if !view.is_initialised() {
            return Ok(false);
        }
        let told = self.uses.worth_telling(&view, least_ms);
        if told.is_empty() {
            return Ok(false);
        }
        let uses = told.iter().map(KeyUse::record).collect();
        let late = view.cluster_version() >= LATE_USES_VERSION;
        let ahead_ms = if late { KEY_USES_AHEAD_MS } else { 0 };
        let command = command::Operation::RecordKeyUses(proto::RecordKeyUses { uses, ahead_ms });
        if least_version(&command) > view.cluster_version() {
            return Ok(false);
        }
        self.propose_system(command).await?;
        self.uses.forget(&told);
        Ok(true)
    }
}

fn refs(keys: impl Iterator<Item = KeyId>) -> Vec<proto::KeyRef> {
    keys.filter_map(propose::id_ref).collect()
}
