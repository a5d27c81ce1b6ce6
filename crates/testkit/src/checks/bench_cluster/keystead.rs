//! Three Keystead nodes on the loopback; their clients, too, show certificates.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use fastrand::Rng;
use keystead_api::{Wire, kms};
use serde_json::Value;

use super::load::{Caller, Load};
use super::{Cluster, Ground, NODES, POLL, START, value};
use crate::client::Target;
use crate::grpc::SERVICE;
use crate::kms::Kms;
use crate::node::{self, ACCOUNT, REGION, free_ports, is_ready, metric};
use crate::process::Process;

/// Tags of each key that are given new values in turn.
const TAGS: usize = 8;
const PLAINTEXT: &[u8] = &[7; 32];

/// A running cluster and its keys.
pub(super) struct Keystead {
    binary: PathBuf,
    nodes: Vec<Node>,
    processes: Vec<Process>,
    targets: Vec<Target>,
    keys: Vec<String>,
}

/// Where a node is configured and listens.
struct Node {
    name: String,
    folder: PathBuf,
    clients: SocketAddr,
    operations: SocketAddr,
    peers: SocketAddr,
}

impl Keystead {
    /// Makes a cluster, waits until all of its nodes serve and vote, and makes some keys.
    ///
    /// # Errors
    /// It does not come about; the text holds what a node wrote.
    pub(super) async fn start(binary: &Path, ground: &Ground, keys: usize) -> Result<Self> {
        ensure!(binary.is_file(), "{} is not there; build it first", binary.display());
        let folder = ground.folder("keystead")?;
        let nodes = nodes(&folder)?;
        for node in &nodes {
            node.configure(ground, &folder, &nodes)?;
        }
        node::initialise(binary, &nodes[0].config())?;
        let mut processes = Vec::new();
        for node in &nodes {
            let mut words: Vec<OsString> = vec![binary.into(), "server".into()];
            words.extend(["--config".into(), node.config().into()]);
            let mut process = Process::new(words, &node.folder);
            process.start()?;
            processes.push(process);
        }
        let targets =
            nodes.iter().map(|node| ground.target(node.clients)).collect::<Result<_>>()?;
        let binary = binary.to_owned();
        let mut started = Self { binary, nodes, processes, targets, keys: Vec::new() };
        started.wait().await?;
        started.make_keys(keys).await?;
        Ok(started)
    }

    /// A caller of Encrypt on one of the nodes.
    pub(super) fn encrypter(&self, number: usize, node: usize) -> Caller {
        let message = kms::EncryptRequest {
            key_id: Some(self.keys[number % self.keys.len()].clone()),
            plaintext: Some(PLAINTEXT.into()),
            ..Default::default()
        };
        let path = format!("{SERVICE}Encrypt");
        Caller::new((node, &self.targets[node]), path, move || message.clone())
    }

    /// How long a confirmation of the leader and one of a follower take, at p50 in milliseconds,
    /// while nothing else happens but one request after the other at the follower. The first is one
    /// round trip.
    pub(super) async fn barrier(&self, time: Duration) -> Result<(f64, f64)> {
        let leader = self.leader().await?;
        let follower = (leader + 1) % NODES;
        Load::run(vec![self.encrypter(0, follower)], time).await?;
        let middle = async |node: usize, what: &str| {
            let name = format!("keystead_raft_{what}_seconds{{quantile=\"0.5\"}}");
            metric(self.nodes[node].operations, &name).await.map(|seconds| seconds * 1000.0)
        };
        Ok((middle(leader, "confirm").await?, middle(follower, "read_index").await?))
    }

    async fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            for process in &mut self.processes {
                ensure!(process.is_alive(), "a node ended:\n{}", process.last_lines());
            }
            if self.ready().await {
                return Ok(());
            }
            if Instant::now() > deadline {
                let logs: Vec<_> = self.processes.iter().map(Process::last_lines).collect();
                bail!("the cluster does not get ready:\n{}", logs.join("\n--\n"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn ready(&self) -> bool {
        for node in &self.nodes {
            if !is_ready(node.operations).await.unwrap_or(false) {
                return false;
            }
        }
        let voters = |members: Vec<Value>| {
            members.iter().filter(|member| member["Voter"] == true).count() == NODES
        };
        self.members().is_ok_and(voters)
    }

    fn members(&self) -> Result<Vec<Value>> {
        let mut command = Command::new(&self.binary);
        command.args(["cluster", "status", "--output", "json", "--config"]);
        let output = command.arg(self.nodes[0].config()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`keystead cluster status` failed: {said}");
        let mut status: Value = serde_json::from_slice(&output.stdout)?;
        serde_json::from_value(status["Members"].take()).context("no members in the status")
    }

    async fn make_keys(&mut self, count: usize) -> Result<()> {
        let mut client = Kms::new(self.targets[0].clone(), Wire::Proto, START);
        for number in 0..count {
            let request = kms::CreateKeyRequest::default();
            let answer = client.call(&request, &format!("key-{number}")).await?;
            let made: kms::CreateKeyResponse =
                answer.result.map_err(|refusal| anyhow!("CreateKey: {}", refusal.code))?;
            let key = made.key_metadata.and_then(|metadata| metadata.key_id);
            self.keys.push(key.context("a key without id")?);
        }
        Ok(())
    }
}

impl Cluster for Keystead {
    fn processes(&self) -> &[Process] {
        &self.processes
    }

    async fn leader(&self) -> Result<usize> {
        let members = self.members()?;
        let leader = members.iter().find(|member| member["Role"] == "leader");
        let name = &leader.context("no member leads")?["Name"];
        let found = self.nodes.iter().position(|node| *name == *node.name);
        found.with_context(|| format!("the leader is called {name}"))
    }

    fn writer(&self, number: usize, node: usize, mut rng: Rng) -> Caller {
        let key = self.keys[number % self.keys.len()].clone();
        let mut tags = (0..TAGS).cycle();
        let message = move || {
            let name = format!("tag-{}", tags.next().unwrap_or_default());
            let tag = kms::Tag { tag_key: Some(name), tag_value: Some(value(&mut rng)) };
            kms::TagResourceRequest { key_id: Some(key.clone()), tags: vec![tag] }
        };
        Caller::new((node, &self.targets[node]), format!("{SERVICE}TagResource"), message)
    }
}

impl Node {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn config(&self) -> PathBuf {
        self.file("keystead.toml")
    }

    fn configure(&self, ground: &Ground, shared: &Path, nodes: &[Self]) -> Result<()> {
        fs::create_dir(&self.folder)?;
        let seeds: Vec<_> = nodes.iter().map(|node| node.peers.to_string()).collect();
        let text = format!(
            "region = {REGION:?}\ndata_dir = {:?}\nname = {:?}\n\
             [listen]\nclients = \"{}\"\noperations = \"{}\"\npeers = \"{}\"\n\
             [cluster]\nseeds = {seeds:?}\njoin_secret = {:?}\n\
             [tls]\ncertificate = {:?}\nkey = {:?}\n\
             [seal]\npath = {:?}\n[audit]\npath = {:?}\n\
             [[client_ca]]\nfile = {:?}\naccounts = [{ACCOUNT:?}]\n",
            self.file("data"),
            self.name,
            self.clients,
            self.operations,
            self.peers,
            shared.join("join.secret"),
            ground.file("tls.crt"),
            ground.file("tls.key"),
            shared.join("seal.key"),
            self.file("audit.json"),
            ground.file("clients.crt"),
        );
        Ok(fs::write(self.config(), text)?)
    }
}

fn nodes(folder: &Path) -> Result<Vec<Node>> {
    let ports = free_ports::<{ 3 * NODES }>()?;
    let node = |(number, ports): (usize, &[u16])| {
        let at = |index: usize| SocketAddr::from((Ipv4Addr::LOCALHOST, ports[index]));
        let name = format!("node-{number}");
        let folder = folder.join(&name);
        Node { name, folder, clients: at(0), operations: at(1), peers: at(2) }
    };
    Ok(ports.chunks_exact(3).enumerate().map(node).collect())
}
