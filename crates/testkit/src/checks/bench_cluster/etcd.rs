//! Three nodes of etcd on the loopback, with certificates as Keystead's have them: clients and
//! peers show theirs. Everything that decides on durability is as etcd has it by default.

use std::ffi::OsString;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use prost::Message;

use super::load::Caller;
use super::{Cluster, Ground, NODES, POLL, START, value, write};
use crate::client::Target;
use crate::grpc::{self, Client};
use crate::mutate::proto;
use crate::node::free_ports;
use crate::process::Process;
use crate::tls::Authority;

const PUT: &str = "/etcdserverpb.KV/Put";
const STATUS: &str = "/etcdserverpb.Maintenance/Status";
/// The largest that etcd recommends: it keeps every old value, and refuses writes when it is full.
const QUOTA: &str = "8589934592";
/// As many different names of each writer as Keystead's writers have tags.
const NAMES: usize = 8;

/// `etcdserverpb.PutRequest`, as far as it is used.
#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `etcdserverpb.StatusResponse`, as far as it is used.
#[derive(Clone, PartialEq, prost::Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(string, tag = "2")]
    version: String,
    /// The id of the leader, 0 for none.
    #[prost(uint64, tag = "4")]
    leader: u64,
}

/// `etcdserverpb.ResponseHeader`, as far as it is used.
#[derive(Clone, PartialEq, prost::Message)]
struct ResponseHeader {
    /// Who answers.
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

/// A running cluster.
pub(super) struct Etcd {
    processes: Vec<Process>,
    targets: Vec<Target>,
    /// What it calls its version.
    pub(super) version: String,
}

impl Etcd {
    /// Makes a cluster and waits until all of its nodes know the leader.
    ///
    /// # Errors
    /// It does not come about; the text holds what a node wrote.
    pub(super) async fn start(program: &Path, ground: &Ground) -> Result<Self> {
        let folder = ground.folder("etcd")?;
        let authority = Authority::new("etcd peers")?;
        fs::write(folder.join("peers.crt"), authority.pem())?;
        write(&authority.peer(Ipv4Addr::LOCALHOST.into())?, &folder.join("peer"))?;
        let ports = free_ports::<{ 2 * NODES }>()?;
        let (clients, peers) = ports.split_at(NODES);
        let members: Vec<_> =
            (0..NODES).map(|node| format!("{}={}", name(node), url(peers[node]))).collect();
        let (mut processes, mut targets) = (Vec::new(), Vec::new());
        for node in 0..NODES {
            let mut words =
                vec![program.into(), "--initial-cluster".into(), members.join(",").into()];
            words.extend(settings(node, clients[node], peers[node]));
            words.extend(files(ground, &folder));
            let home = folder.join(name(node));
            fs::create_dir(&home)?;
            let mut process = Process::new(words, &home);
            process.start()?;
            processes.push(process);
            targets.push(ground.target((Ipv4Addr::LOCALHOST, clients[node]).into())?);
        }
        let mut started = Self { processes, targets, version: String::new() };
        started.wait().await?;
        Ok(started)
    }

    async fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        loop {
            for process in &mut self.processes {
                ensure!(process.is_alive(), "a node ended:\n{}", process.last_lines());
            }
            let error = match self.statuses().await {
                Ok(statuses) => {
                    self.version.clone_from(&statuses[0].version);
                    return Ok(());
                }
                Err(error) => error,
            };
            if Instant::now() > deadline {
                bail!("etcd does not get ready: {error:#}\n{}", self.processes[0].last_lines());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// What every node says of itself.
    ///
    /// # Errors
    /// One does not answer, or they do not agree on a leader.
    async fn statuses(&self) -> Result<Vec<StatusResponse>> {
        let mut statuses = Vec::new();
        for target in &self.targets {
            let request = grpc::request(target, STATUS, proto::frame(&[]))?;
            let answer = Client::new(target.clone()).send(request).await?;
            ensure!(answer.code() == "OK", "{} {}", answer.code(), answer.message());
            statuses.push(StatusResponse::decode(answer.payload())?);
        }
        let leader = statuses[0].leader;
        if leader == 0 || statuses.iter().any(|status| status.leader != leader) {
            bail!("no leader that all know");
        }
        Ok(statuses)
    }
}

impl Cluster for Etcd {
    fn processes(&self) -> &[Process] {
        &self.processes
    }

    async fn leader(&self) -> Result<usize> {
        let statuses = self.statuses().await?;
        let leads = |status: &StatusResponse| {
            status.header.as_ref().is_some_and(|header| header.member_id == status.leader)
        };
        statuses.iter().position(leads).context("the leader is none of the nodes")
    }

    fn writer(&self, number: usize, node: usize, mut rng: Rng) -> Caller {
        let mut names = (0..NAMES).cycle();
        let message = move || {
            // As long as the id of a key and the name of a tag.
            let key = format!("{number:036}/tag-{}", names.next().unwrap_or_default());
            PutRequest { key: key.into_bytes(), value: value(&mut rng).into_bytes() }
        };
        Caller::new((node, &self.targets[node]), PUT.into(), message)
    }
}

fn settings(node: usize, client: u16, peer: u16) -> Vec<OsString> {
    let (name, client, peer) = (name(node), url(client), url(peer));
    let settings = [
        ["--name", &name],
        ["--data-dir", "data"],
        ["--initial-cluster-state", "new"],
        ["--listen-client-urls", &client],
        ["--advertise-client-urls", &client],
        ["--listen-peer-urls", &peer],
        ["--initial-advertise-peer-urls", &peer],
        ["--quota-backend-bytes", QUOTA],
    ];
    let switches = [
        "--client-cert-auth",
        "--peer-client-cert-auth",
        // It would call the node itself, with a certificate of its own.
        "--enable-grpc-gateway=false",
    ];
    settings.as_flattened().iter().chain(&switches).map(OsString::from).collect()
}

fn files(ground: &Ground, folder: &Path) -> impl Iterator<Item = OsString> {
    let files = [
        ("--cert-file", ground.file("tls.crt")),
        ("--key-file", ground.file("tls.key")),
        ("--trusted-ca-file", ground.file("clients.crt")),
        ("--peer-cert-file", folder.join("peer.crt")),
        ("--peer-key-file", folder.join("peer.key")),
        ("--peer-trusted-ca-file", folder.join("peers.crt")),
    ];
    files.into_iter().flat_map(|(option, file)| [option.into(), file.into()])
}

fn name(node: usize) -> String {
    format!("node-{node}")
}

fn url(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_etcd() {
        let put = PutRequest { key: b"k".to_vec(), value: b"vv".to_vec() };
        assert_eq!(put.encode_to_vec(), b"\x0a\x01k\x12\x02vv");
        // header {cluster_id 1, member_id 5}, version, dbSize 9, leader 5, raftIndex 7
        let status = b"\x0a\x04\x08\x01\x10\x05\x12\x01v\x18\x09\x20\x05\x28\x07";
        let status = StatusResponse::decode(&status[..]).unwrap();
        assert_eq!(status.header, Some(ResponseHeader { member_id: 5 }));
        assert_eq!((status.version.as_str(), status.leader), ("v", 5));
    }
}
