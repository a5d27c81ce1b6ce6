//! Mutations per second of three Keystead nodes beside three of etcd, and how long Encrypt takes.
//!
//! Both are called by the same client under the same mutual TLS, keep their data in the same
//! folder, and are measured in turn.

mod disk;
mod etcd;
mod figures;
mod keystead;
mod load;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use etcd::Etcd;
use fastrand::Rng;
use figures::{Latency, Measured};
use keystead::Keystead;
use load::{Caller, Load};
use tempfile::TempDir;

use super::{Common, Outcome, worker_rng};
use crate::client::Target;
use crate::node::{ACCOUNT, REGION};
use crate::process::{Process, idle_seconds, own_cpu_seconds};
use crate::tls::{Authority, Identity, Tls};

/// How long the barrier is measured.
const BARRIER: Duration = Duration::from_secs(5);
const NODES: usize = 3;
/// How long a cluster may take to get ready, and how often it is looked at.
const START: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);
/// Characters of each value that is written: the most that a tag can have.
const VALUE: usize = 256;

/// Arguments of `bench-cluster`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    /// Writers at a time, each with a connection and a key of its own.
    #[arg(long, default_value_t = 64)]
    writers: usize,
    /// Connections at a time that encrypt.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How often everything is measured in turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// The least ratio to etcd through the leaders, as the median of the rounds.
    #[arg(long, default_value_t = 1.0)]
    least_leader: f64,
    /// The least ratio to etcd through all three nodes of both.
    #[arg(long, default_value_t = 0.7)]
    least_all: f64,
    /// Where all data is kept, and the disk that is measured.
    #[arg(long, env = "KEYSTEAD_BENCH_DIR", value_name = "FOLDER")]
    folder: PathBuf,
    /// The program that it is compared with.
    #[arg(long, default_value = "etcd", value_name = "FILE")]
    etcd: PathBuf,
    /// Measure one side alone.
    #[arg(long)]
    only: Option<Side>,
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Side {
    Keystead,
    Etcd,
}

/// Which nodes the writers write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Leader,
    Follower,
    All,
}

/// A cluster that can be written to.
trait Cluster {
    /// Its nodes.
    fn processes(&self) -> &[Process];

    /// The node that leads.
    ///
    /// # Errors
    /// None does, or none can be asked.
    async fn leader(&self) -> Result<usize>;

    /// A writer to one of the nodes.
    fn writer(&self, number: usize, node: usize, rng: Rng) -> Caller;
}

/// What the clusters share: a folder with `tls.crt` and `tls.key` of every node and the
/// authority of clients, and who calls them.
struct Ground {
    root: TempDir,
    servers: Authority,
    client: Identity,
}

struct Bench<'a> {
    options: &'a Options,
    time: Duration,
    measured: Measured,
    outcome: Outcome,
}

/// Measures the disk, the writers of both sides in turn, and Encrypt without and with writers.
///
/// # Errors
/// A cluster did not start or has no leader.
pub async fn run(options: &Options) -> Result<Outcome> {
    let ground = Ground::new(&options.folder)?;
    let keystead = match options.only {
        Some(Side::Etcd) => None,
        _ => {
            let started = Keystead::start(&options.common.binary, &ground, options.writers).await;
            Some(started.context("Keystead")?)
        }
    };
    let etcd = match options.only {
        Some(Side::Keystead) => None,
        _ => Some(Etcd::start(&options.etcd, &ground).await.context("etcd")?),
    };
    let time = Duration::from_secs(options.seconds);
    let (measured, outcome) = (Measured::default(), Outcome::default());
    let mut bench = Bench { options, time, measured, outcome };
    if let Some(cluster) = &keystead {
        let (confirm, read_index) = cluster.barrier(BARRIER).await?;
        say(&format!("barrier at p50, idle: leader {confirm:.3} ms, follower {read_index:.3} ms"));
        bench.measured.barrier(confirm, read_index);
    }
    for round in 1..=options.rounds {
        say(&format!("round {round} of {}", options.rounds));
        bench.round(&ground, keystead.as_ref(), etcd.as_ref()).await?;
    }
    let Bench { measured, mut outcome, .. } = bench;
    outcome.figures = measured.figures(options, etcd.as_ref().map(|etcd| etcd.version.as_str()));
    measured.judge(options, &mut outcome);
    Ok(outcome)
}

impl Bench<'_> {
    async fn round(
        &mut self,
        ground: &Ground,
        keystead: Option<&Keystead>,
        etcd: Option<&Etcd>,
    ) -> Result<()> {
        let took = disk::sync_milliseconds(ground.root.path())?;
        say(&format!("fdatasync of 4 KiB: p50 {took:.2} ms"));
        self.measured.sync(took);
        for way in Way::ALL {
            if let Some(cluster) = keystead {
                self.write(Side::Keystead, cluster, way).await?;
            }
            if let Some(cluster) = etcd {
                self.write(Side::Etcd, cluster, way).await?;
            }
        }
        if let Some(cluster) = keystead {
            self.encrypt(cluster, false).await?;
            self.encrypt(cluster, true).await?;
        }
        Ok(())
    }

    async fn write(&mut self, side: Side, cluster: &impl Cluster, way: Way) -> Result<()> {
        let what = format!("{} through {}", side.name(), way.name());
        let leader = cluster.leader().await?;
        let before = used(cluster.processes())?;
        let load = Load::run(self.writers(cluster, leader, way), self.time).await?;
        let cpu = used(cluster.processes())?.since(&before);
        say(&format!("{what}: {:.0} mutations/s; {}", load.rate(), cpu.per(self.time)));
        self.judge(&what, cluster, leader, &load).await?;
        self.measured.rate(side, way, load.rate());
        Ok(())
    }

    async fn encrypt(&mut self, cluster: &Keystead, busy: bool) -> Result<()> {
        let what = if busy { "Encrypt beside the writers" } else { "Encrypt alone" };
        let leader = cluster.leader().await?;
        let callers = 0..self.options.connections;
        let callers = callers.map(|number| cluster.encrypter(number, number % NODES)).collect();
        let before = used(cluster.processes())?;
        let encrypts = Load::run(callers, self.time);
        let load = if busy {
            let writers = Load::run(self.writers(cluster, leader, Way::All), self.time);
            let (load, writes) = tokio::try_join!(encrypts, writers)?;
            say(&format!("beside Encrypt: {:.0} mutations/s", writes.rate()));
            self.judge("the writers beside Encrypt", cluster, leader, &writes).await?;
            load
        } else {
            encrypts.await?
        };
        let cpu = used(cluster.processes())?.since(&before);
        let latency = Latency::of(&load, leader);
        say(&format!("{what}: {:.0}/s, {latency} ms; {}", load.rate(), cpu.per(self.time)));
        self.judge(what, cluster, leader, &load).await?;
        self.measured.latency(busy, latency);
        Ok(())
    }

    fn writers(&self, cluster: &impl Cluster, leader: usize, way: Way) -> Vec<Caller> {
        let seed = self.options.common.seed;
        let writer =
            |number| cluster.writer(number, way.node(leader, number), worker_rng(seed, number));
        (0..self.options.writers).map(writer).collect()
    }

    /// Figures of a cluster that failed or elected meanwhile are not what they are said to be.
    async fn judge(
        &mut self,
        what: &str,
        cluster: &impl Cluster,
        leader: usize,
        load: &Load,
    ) -> Result<()> {
        if let Some(failure) = &load.failure {
            self.outcome.violation(format!("{what}: {} calls failed: {failure}", load.failed));
        }
        let now = cluster.leader().await?;
        self.outcome.require(now == leader, || format!("{what}: another node leads now"));
        Ok(())
    }
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Keystead => "Keystead",
            Self::Etcd => "etcd",
        }
    }
}

impl Way {
    const ALL: [Self; 3] = [Self::Leader, Self::Follower, Self::All];

    fn name(self) -> &'static str {
        match self {
            Self::Leader => "the leader",
            Self::Follower => "a follower",
            Self::All => "all three",
        }
    }

    /// Where one of the writers writes to.
    fn node(self, leader: usize, writer: usize) -> usize {
        match self {
            Self::Leader => leader,
            Self::Follower => (leader + 1) % NODES,
            Self::All => writer % NODES,
        }
    }
}

impl Ground {
    fn new(parent: &Path) -> Result<Self> {
        fs::create_dir_all(parent)?;
        let parent = parent.canonicalize()?;
        let root = tempfile::Builder::new().prefix("cluster-").tempdir_in(parent)?;
        let (servers, clients) = (Authority::new("servers")?, Authority::new("clients")?);
        let client = clients.client(&format!("arn:aws:iam::{ACCOUNT}:root"))?;
        let ground = Self { root, servers, client };
        fs::write(ground.file("clients.crt"), clients.pem())?;
        write(&ground.servers.server([Ipv4Addr::LOCALHOST.into()])?, &ground.file("tls"))?;
        Ok(ground)
    }

    /// Makes a folder for one of the clusters.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.file(name);
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// How to call a node that listens there.
    fn target(&self, address: SocketAddr) -> Result<Target> {
        // One for each: sessions are remembered by IP address, and no node can resume another's.
        let tls = Tls::new(&self.servers, "h2", Some(&self.client))?;
        Ok(Target {
            address,
            region: REGION.into(),
            access_key_id: String::new(),
            secret_access_key: String::new(),
            session_token: None,
            tls: Some(tls),
        })
    }
}

/// Writes a certificate and its key beside each other.
fn write(identity: &Identity, file: &Path) -> Result<()> {
    fs::write(file.with_extension("crt"), &identity.certificate_pem)?;
    Ok(fs::write(file.with_extension("key"), &identity.key_pem)?)
}

/// Seconds of processor time: the nodes', the client's own, and what nobody used.
struct Used([f64; 3]);

fn used(nodes: &[Process]) -> Result<Used> {
    let nodes = nodes.iter().map(Process::cpu_seconds).sum::<Result<f64>>()?;
    Ok(Used([nodes, own_cpu_seconds()?, idle_seconds()?]))
}

impl Used {
    fn since(&self, before: &Self) -> Self {
        Self(std::array::from_fn(|index| self.0[index] - before.0[index]))
    }

    fn per(&self, time: Duration) -> String {
        let [nodes, client, idle] = self.0.map(|used| used / time.as_secs_f64());
        format!("processors: nodes {nodes:.2}, client {client:.2}, idle {idle:.2}")
    }
}

/// What is written: as long as a tag's value may be.
fn value(rng: &mut Rng) -> String {
    std::iter::repeat_with(|| rng.alphanumeric()).take(VALUE).collect()
}

/// Tells how far it is: a whole run takes many minutes.
fn say(text: &str) {
    // Where standard error is gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}
