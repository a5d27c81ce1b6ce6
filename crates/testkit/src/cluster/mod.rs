//! Three nodes in processes and networks of their own, which are one cluster.

mod network;

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use keystead_api::Wire;
use keystead_server::admin::{AdminClient, AdminSocket, proto};
use serde_json::Value;
use tokio::time::timeout;

pub use self::network::Network;
use self::network::name;
use crate::client::Target;
use crate::node::{self, ACCOUNT, AccessKey, REGION};
use crate::process::Process;
use crate::tls::{Authority, Identity, Tls};

/// How many nodes there are.
pub const NODES: usize = 3;

const CLIENTS: u16 = 9470;
const PEERS: u16 = 9471;
const OPERATIONS: u16 = 9472;
const POLL: Duration = Duration::from_millis(50);
/// How long a cluster may take to form, the first start of each node included.
const FORMATION: Duration = Duration::from_secs(120);
/// How long a node that runs may take to say how it is.
const ANSWER: Duration = Duration::from_secs(2);

/// The cluster. Its processes end with it; its folder stays.
pub struct Cluster {
    binary: PathBuf,
    network: Network,
    nodes: Vec<Node>,
    clients: Clients,
}

struct Node {
    data: PathBuf,
    process: Process,
    paused: bool,
}

/// What the cluster is called by: over AWS JSON with an access key, over gRPC with a certificate.
struct Clients {
    target: Target,
    json: Tls,
    grpc: Tls,
}

/// Who leads, and since which term, as all nodes see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The leader.
    pub leader: usize,
    /// Raft's term: the number of elections so far, lost ones included.
    pub term: u64,
}

impl Cluster {
    /// Forms a cluster in an empty folder: the first node makes it, the others join.
    ///
    /// # Errors
    /// It does not come about; the text holds what a node wrote.
    pub async fn form(binary: &Path, folder: &Path) -> Result<Self> {
        ensure!(binary.is_file(), "{} is not there; build it first", binary.display());
        let network = Network::new(NODES)?;
        let clients = Clients::prepare(folder)?;
        let mut cluster = Self { binary: binary.to_owned(), network, nodes: Vec::new(), clients };
        for number in 0..NODES {
            let home = folder.join(name(number));
            fs::create_dir(&home)?;
            let config = home.join("keystead.toml");
            fs::write(&config, configuration(number, folder))?;
            if number == 0 {
                node::initialise(binary, &config)?.give_to(&mut cluster.clients.target);
            }
            let mut words = Network::wrapper(number);
            words.push(binary.into());
            words.extend(["server", "--config"].map(OsString::from));
            words.push(config.into());
            let (data, process) = (home.join("data"), Process::new(words, &home));
            cluster.nodes.push(Node { data, process, paused: false });
            cluster.start(number)?;
        }
        let deadline = Instant::now() + FORMATION;
        cluster.settled(FORMATION).await?;
        while cluster.voters().await? < NODES {
            ensure!(Instant::now() < deadline, "not all nodes become voters: {}", cluster.words());
            tokio::time::sleep(POLL).await;
        }
        Ok(cluster)
    }

    /// Where and as whom to call a node over one of the wires.
    pub fn target(&self, number: usize, wire: Wire) -> Target {
        let tls = match wire {
            Wire::AwsJson => &self.clients.json,
            Wire::Proto => &self.clients.grpc,
        };
        let address = SocketAddr::new(Network::address(number), CLIENTS);
        Target { address, tls: Some(tls.clone()), ..self.clients.target.clone() }
    }

    /// The network between the nodes.
    pub fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    /// Starts a node, or starts it again; it gets ready in its own time.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(&mut self, number: usize) -> Result<()> {
        self.nodes[number].process.start()
    }

    /// Kills a node without warning.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill(&mut self, number: usize) -> Result<()> {
        self.nodes[number].paused = false;
        self.nodes[number].process.kill()
    }

    /// Stops a node's clock, so to speak: it does nothing until it is resumed, and does not know.
    ///
    /// # Errors
    /// It does not run.
    pub fn pause(&mut self, number: usize) -> Result<()> {
        self.nodes[number].paused = true;
        self.nodes[number].process.signal("STOP")
    }

    /// Ends everything that was done to the nodes and to the network: all run and reach each other.
    ///
    /// # Errors
    /// A node that was not killed has ended, or cannot be started.
    pub fn heal(&mut self) -> Result<()> {
        self.network.heal()?;
        for node in &mut self.nodes {
            if std::mem::take(&mut node.paused) {
                node.process.signal("CONT")?;
            }
            if !node.process.is_started() {
                node.process.start()?;
            }
        }
        Ok(())
    }

    /// Waits until all nodes serve and agree on a leader.
    ///
    /// # Errors
    /// They do not within the limit, or one of them has ended; the text holds what it wrote.
    pub async fn settled(&mut self, limit: Duration) -> Result<Standing> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(standing) = self.agreement().await {
                return Ok(standing);
            }
            for (number, node) in self.nodes.iter_mut().enumerate() {
                if !node.process.is_alive() {
                    bail!("{} has ended by itself:\n{}", name(number), node.process.last_lines());
                }
            }
            ensure!(Instant::now() < deadline, "not settled in {limit:?}: {}", self.words());
            tokio::time::sleep(POLL).await;
        }
    }

    /// Makes an account; what comes back is its access key.
    ///
    /// # Errors
    /// The first node refuses.
    pub(crate) async fn add_account(&self, account: &str) -> Result<AccessKey> {
        let request =
            proto::CreateAccountRequest { region: REGION.into(), account: account.into() };
        let answer = self.nodes[0].admin().await?.api().create_account(request).await;
        let made = AdminClient::told(answer)?;
        Ok(AccessKey { id: made.access_key_id, secret: made.secret_access_key, token: None })
    }

    /// Where the operators of each node are listened to.
    pub(crate) fn admin_sockets(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(Node::admin_socket).collect()
    }

    /// Has the leader hand over to whichever member it likes.
    ///
    /// # Errors
    /// It refuses, or does not lead.
    pub async fn transfer_leadership(&self, leader: usize) -> Result<()> {
        let request =
            proto::TransferLeadershipRequest { region: REGION.into(), node: String::new() };
        let answer = self.nodes[leader].admin().await?.api().transfer_leadership(request).await;
        AdminClient::told(answer)?;
        Ok(())
    }

    /// The lines of all logs that tell of a panic.
    ///
    /// # Errors
    /// A log cannot be read.
    pub fn panics(&self) -> Result<Vec<String>> {
        let panics = self.nodes.iter().map(|node| node.process.panics());
        Ok(panics.collect::<Result<Vec<_>>>()?.concat())
    }

    async fn agreement(&self) -> Option<Standing> {
        let (mut leaders, mut views) = (Vec::new(), Vec::new());
        for (number, node) in self.nodes.iter().enumerate() {
            let operations = SocketAddr::new(Network::address(number), OPERATIONS);
            let ready = timeout(ANSWER, node::is_ready(operations)).await;
            if !matches!(ready, Ok(Ok(true))) {
                return None;
            }
            let status = timeout(ANSWER, node.status()).await.ok()?.ok()?;
            if status.role() == proto::Role::Leader {
                leaders.push(number);
            }
            views.push((status.term, status.leader?));
        }
        let [leader] = leaders[..] else { return None };
        let (term, _) = views[0];
        views.iter().all(|view| *view == views[0]).then_some(Standing { leader, term })
    }

    /// How many members have a vote, as the program tells it.
    async fn voters(&self) -> Result<usize> {
        let mut command = Command::new(&self.binary);
        command.args(["cluster", "status", "--output", "json", "--data-dir"]);
        let output = command.arg(&self.nodes[0].data).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`keystead cluster status` failed: {said}");
        let status: Value = serde_json::from_slice(&output.stdout)?;
        let members = status["Members"].as_array().context("no members told")?;
        Ok(members.iter().filter(|member| member["Voter"] == true).count())
    }

    /// The last words of all nodes.
    fn words(&self) -> String {
        let nodes = self.nodes.iter().enumerate();
        nodes
            .map(|(number, node)| format!("\n{}:\n{}", name(number), node.process.last_lines()))
            .collect()
    }
}

impl Node {
    async fn status(&self) -> Result<proto::RegionStatus> {
        self.admin().await?.status().await?.regions.pop().context("no Region told")
    }

    async fn admin(&self) -> Result<AdminClient> {
        Ok(AdminClient::connect(&self.admin_socket()).await?)
    }

    fn admin_socket(&self) -> PathBuf {
        self.data.join(AdminSocket::NAME)
    }
}

impl Clients {
    /// Makes the certificates of servers and clients and puts what nodes need into the folder.
    fn prepare(folder: &Path) -> Result<Self> {
        let servers = Authority::new("chaos servers")?;
        let callers = Authority::new("chaos clients")?;
        let Identity { certificate_pem, key_pem, .. } =
            &servers.server((0..NODES).map(Network::address))?;
        let caller = callers.client(&format!("arn:aws:iam::{ACCOUNT}:root"))?;
        for (name, text) in
            [("tls.crt", certificate_pem), ("tls.key", key_pem), ("clients.pem", &callers.pem())]
        {
            fs::write(folder.join(name), text)?;
        }
        Ok(Self {
            json: Tls::new(&servers, "http/1.1", None)?,
            grpc: Tls::new(&servers, "h2", Some(&caller))?,
            target: Target {
                address: SocketAddr::new(Network::address(0), CLIENTS),
                region: REGION.into(),
                access_key_id: String::new(),
                secret_access_key: String::new(),
                session_token: None,
                tls: None,
            },
        })
    }
}

fn configuration(number: usize, folder: &Path) -> String {
    let own = |port| SocketAddr::new(Network::address(number), port).to_string();
    let shared = |name: &str| folder.join(name).display().to_string();
    let file = |file: &str| shared(&format!("{}/{file}", name(number)));
    let peers = |node| SocketAddr::new(Network::address(node), PEERS).to_string();
    let seeds: Vec<_> = (0..NODES).map(peers).collect();
    format!(
        "region = {REGION:?}\ndata_dir = {:?}\nname = {:?}\n\
         [listen]\nclients = {:?}\noperations = {:?}\npeers = {:?}\n\
         [cluster]\nadvertise = {:?}\nseeds = {seeds:?}\njoin_secret = {:?}\n\
         [tls]\ncertificate = {:?}\nkey = {:?}\n\
         [seal]\npath = {:?}\n[audit]\npath = {:?}\n\
         [[client_ca]]\nfile = {:?}\naccounts = [{ACCOUNT:?}]\n",
        file("data"),
        name(number),
        own(CLIENTS),
        own(OPERATIONS),
        own(PEERS),
        own(PEERS),
        shared("join.secret"),
        shared("tls.crt"),
        shared("tls.key"),
        shared("seal.key"),
        file("audit.json"),
        shared("clients.pem"),
    )
}
