//! A network in which each node has an address and a network namespace of its own, and from which
//! it can be cut off.
//!
//! ```text
//! the harness's namespace                      kms-1's namespace
//!   keystead0, a bridge: 10.99.0.254 ──── kms-1 ════ eth0: 10.99.0.1
//! ```

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use anyhow::{Context, Result, ensure};

const BRIDGE: &str = "keystead0";
const PORT: &str = "eth0";
const OWN_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 254);
/// The hardware address of nobody. A neighbour that is said to have it is sent packets that do not
/// arrive, in this direction only and without any error, as if the cable were cut.
const NOWHERE: &str = "02:00:00:00:00:00";

/// The networks of all nodes.
pub struct Network {
    nodes: usize,
    /// From whom to whom nothing gets through.
    cuts: Vec<(usize, usize)>,
    unplugged: Vec<usize>,
}

impl Network {
    /// Connects so many nodes. The harness must have a network namespace of its own, which takes
    /// everything with it when it ends.
    ///
    /// # Errors
    /// The harness sees the machine's networks, or may not make any.
    pub fn new(nodes: usize) -> Result<Self> {
        ensure!(
            ip(&["-oneline", "link"])?.lines().count() == 1,
            "this changes networks and is started by `in_own_network` of scripts/lib.sh only, as \
             scripts/chaos does"
        );
        ip(&["link", "add", BRIDGE, "type", "bridge"])?;
        ip(&["address", "add", &format!("{OWN_ADDRESS}/24"), "dev", BRIDGE])?;
        ip(&["link", "set", BRIDGE, "up"])?;
        for node in 0..nodes {
            let name = &name(node);
            let address = format!("{}/24", Self::address(node));
            ip(&["netns", "add", name])?;
            let pair = ["type", "veth", "peer", "name", PORT, "netns", name];
            ip(&[&["link", "add", name][..], &pair].concat())?;
            ip(&["link", "set", name, "master", BRIDGE, "up"])?;
            ip(&["-netns", name, "link", "set", "lo", "up"])?;
            ip(&["-netns", name, "address", "add", &address, "dev", PORT])?;
            ip(&["-netns", name, "link", "set", PORT, "up"])?;
        }
        Ok(Self { nodes, cuts: Vec::new(), unplugged: Vec::new() })
    }

    /// The address of a node.
    pub fn address(node: usize) -> IpAddr {
        Ipv4Addr::new(10, 99, 0, node as u8 + 1).into()
    }

    /// What a program is started by that is to run in a node's network.
    pub fn wrapper(node: usize) -> Vec<OsString> {
        ["ip", "netns", "exec", &name(node)].map(OsString::from).into()
    }

    /// From now on nothing that one node sends to another arrives.
    ///
    /// # Errors
    /// The system refuses.
    pub fn cut(&mut self, from: usize, to: usize) -> Result<()> {
        self.cuts.push((from, to));
        let address = Self::address(to).to_string();
        let name = name(from);
        let neighbour = ["neighbour", "replace", &address, "lladdr", NOWHERE, "dev", PORT];
        ip(&[&["-netns", &name][..], &neighbour, &["nud", "permanent"]].concat())?;
        Ok(())
    }

    /// The other nodes.
    pub fn others(&self, node: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.nodes).filter(move |other| *other != node)
    }

    /// From now on a node reaches nobody and nobody reaches it, not even clients.
    ///
    /// # Errors
    /// The system refuses.
    pub fn unplug(&mut self, node: usize) -> Result<()> {
        self.unplugged.push(node);
        ip(&["link", "set", &name(node), "down"]).map(|_| ())
    }

    /// Undoes all that was cut.
    ///
    /// # Errors
    /// The system refuses.
    pub fn heal(&mut self) -> Result<()> {
        for node in self.unplugged.drain(..) {
            ip(&["link", "set", &name(node), "up"])?;
        }
        for (from, to) in self.cuts.drain(..) {
            let (name, address) = (name(from), Self::address(to).to_string());
            ip(&["-netns", &name, "neighbour", "delete", &address, "dev", PORT])?;
        }
        Ok(())
    }
}

/// The name of a node, of its namespace, and of its port of the bridge.
pub(super) fn name(node: usize) -> String {
    format!("kms-{}", node + 1)
}

/// Runs `ip`, the one program for all of this.
fn ip(arguments: &[&str]) -> Result<String> {
    let output = Command::new("ip").args(arguments).output().context("run `ip` (iproute2)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`ip {}` failed: {said}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
