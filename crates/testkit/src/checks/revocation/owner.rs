//! Who gives rights and revokes them. What it does is certain: it repeats each call, through any
//! node, until it is acknowledged.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use fastrand::Rng;
use keystead_api::{Message, Wire};
use keystead_server::admin::proto::revoke_sessions_request::Of;
use keystead_server::admin::{AdminClient, proto};
use tokio::time::timeout;

use super::clock::Clock;
use super::right::Step;
use crate::cluster::{Cluster, NODES};
use crate::kms::{Answer, Kms};
use crate::node::{ACCOUNT, AccessKey, REGION};
use crate::query::{Query, Service};

/// How long it waits for one reply.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long it goes on with one call.
const PERSISTENCE: Duration = Duration::from_secs(30);
/// What it waits between two attempts of one call, at most.
const PAUSE: u64 = 50;
/// What is said of a grant or of something of IAM that does not exist.
const GONE: [&str; 2] = ["InvalidGrantIdException", "NoSuchEntity"];

pub(super) struct Owner {
    rng: Rng,
    clock: Clock,
    kms: Vec<Kms>,
    iam: Vec<Query>,
    sts: Vec<Query>,
    admin_sockets: Vec<PathBuf>,
    /// How often a second attempt was told that what it was to end was not there any more.
    pub(super) gone: usize,
}

/// What was done, and when.
pub(super) struct Acknowledged<O> {
    pub(super) output: O,
    /// When the first attempt began.
    pub(super) invoked: u64,
    pub(super) acknowledged: u64,
    pub(super) index: Option<u64>,
}

/// A call that is being made.
struct Calling<'a> {
    name: &'a str,
    clock: Clock,
    start: Instant,
    invoked: u64,
    invocation: String,
    /// Whether an attempt had no reply that says what came of it.
    open: bool,
    gone: bool,
}

impl Owner {
    /// The root of the cluster's account, which calls KMS over this wire.
    pub(super) fn new(cluster: &Cluster, wire: Wire, clock: Clock, rng: Rng) -> Self {
        let kms = |node| Kms::new(cluster.target(node, wire), wire, PATIENCE);
        let query = |service| {
            let client = |node| Query::new(cluster.target(node, Wire::AwsJson), service, PATIENCE);
            (0..NODES).map(client).collect()
        };
        let (iam, sts) = (query(Service::Iam), query(Service::Sts));
        let (kms, admin_sockets) = ((0..NODES).map(kms).collect(), cluster.admin_sockets());
        Self { rng, clock, kms, iam, sts, admin_sockets, gone: 0 }
    }

    pub(super) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Calls KMS until there is a reply that says what came of it.
    ///
    /// # Errors
    /// It is refused, or nobody replies for too long.
    pub(super) async fn kms<I: Message, O: Message>(
        &mut self,
        input: &I,
    ) -> Result<Acknowledged<O>> {
        let mut calling = self.calling(I::NAME);
        loop {
            let node = self.rng.usize(..NODES);
            let answer = self.kms[node].call(input, &calling.invocation).await;
            if let Some(acknowledged) = calling.outcome(answer)? {
                self.gone += usize::from(calling.gone);
                return Ok(acknowledged);
            }
            self.pause().await;
        }
    }

    /// The same of IAM; what it says is XML.
    ///
    /// # Errors
    /// Those of [`Owner::kms`].
    pub(super) async fn iam(
        &mut self,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Acknowledged<String>> {
        let mut calling = self.calling(action);
        loop {
            let node = self.rng.usize(..NODES);
            let answer = self.iam[node].call(action, parameters, &calling.invocation).await;
            if let Some(acknowledged) = calling.outcome(answer)? {
                self.gone += usize::from(calling.gone);
                return Ok(acknowledged);
            }
            self.pause().await;
        }
    }

    /// The same of IAM, of which nothing but that it is done is of interest.
    ///
    /// # Errors
    /// Those of [`Owner::kms`].
    pub(super) async fn step(&mut self, (action, parameters): &Step) -> Result<Acknowledged<()>> {
        let parameters = parameters.iter().map(|(name, value)| (*name, &**value));
        Ok(self.iam(action, &parameters.collect::<Vec<_>>()).await?.done())
    }

    /// The same of STS, called with this access key.
    ///
    /// # Errors
    /// Those of [`Owner::kms`].
    pub(super) async fn sts(
        &mut self,
        access_key: &AccessKey,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<String> {
        let mut calling = self.calling(action);
        loop {
            let node = self.rng.usize(..NODES);
            self.sts[node].act_as(access_key);
            let answer = self.sts[node].call(action, parameters, &calling.invocation).await;
            if let Some(acknowledged) = calling.outcome(answer)? {
                return Ok(acknowledged.output);
            }
            self.pause().await;
        }
    }

    /// Ends the sessions of a role of the cluster's account, as an operator of any node.
    ///
    /// # Errors
    /// No node does it for too long.
    pub(super) async fn revoke_sessions(&mut self, role: &str) -> Result<Acknowledged<()>> {
        let request = proto::RevokeSessionsRequest {
            region: REGION.into(),
            account: ACCOUNT.into(),
            of: Some(Of::Role(role.into())),
        };
        let mut calling = self.calling("revoke-sessions");
        loop {
            let node = self.rng.usize(..NODES);
            let attempt = revoke(&self.admin_sockets[node], &request);
            let answer = match timeout(PATIENCE, attempt).await {
                Ok(Ok(())) => Ok(Answer { result: Ok(()), index: None }),
                Ok(Err(error)) => Err(error),
                Err(late) => Err(late.into()),
            };
            if let Some(acknowledged) = calling.outcome(answer)? {
                return Ok(acknowledged);
            }
            self.pause().await;
        }
    }

    fn calling<'a>(&mut self, name: &'a str) -> Calling<'a> {
        let (clock, start) = (self.clock, Instant::now());
        let invocation = format!("{:032x}", self.rng.u128(..));
        let invoked = clock.now();
        Calling { name, clock, start, invoked, invocation, open: false, gone: false }
    }

    async fn pause(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.rng.u64(..PAUSE))).await;
    }
}

async fn revoke(socket: &Path, request: &proto::RevokeSessionsRequest) -> Result<()> {
    let mut admin = AdminClient::connect(socket).await?;
    AdminClient::told(admin.api().revoke_sessions(request.clone()).await)?;
    Ok(())
}

impl Calling<'_> {
    /// What came of it, if that is known after this attempt.
    fn outcome<O: Default>(
        &mut self,
        answer: Result<Answer<O>>,
    ) -> Result<Option<Acknowledged<O>>> {
        let name = self.name;
        let acknowledged = |output, index| {
            let (invoked, acknowledged) = (self.invoked, self.clock.now());
            Ok(Some(Acknowledged { output, invoked, acknowledged, index }))
        };
        let said = match answer {
            Ok(Answer { result: Ok(output), index }) => {
                return acknowledged(output, index);
            }
            // The attempt before did it, in a state that this one saw.
            Ok(Answer { result: Err(refusal), index })
                if self.open && GONE.contains(&&*refusal.code) =>
            {
                self.gone = true;
                return acknowledged(O::default(), index);
            }
            Ok(Answer { result: Err(refusal), .. }) if !refusal.passing => {
                bail!("{name}: {}", refusal.code)
            }
            Ok(Answer { result: Err(refusal), .. }) => refusal.code,
            Err(error) => format!("{error:#}"),
        };
        if self.start.elapsed() > PERSISTENCE {
            bail!("{name} did not succeed in {PERSISTENCE:?}: {said}");
        }
        self.open = true;
        Ok(None)
    }
}

impl<O> Acknowledged<O> {
    /// The same, without what it says.
    pub(super) fn done(self) -> Acknowledged<()> {
        let Self { invoked, acknowledged, index, .. } = self;
        Acknowledged { output: (), invoked, acknowledged, index }
    }
}
