//! A node in a process of its own: started, killed without warning, started again.

use std::ffi::OsString;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Target;
use crate::process::Process;

const START: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
/// Ports that no outgoing connection is given, so that a killed node finds its own again, and that
/// no test in Python takes (`tests/conformance/ports.py`).
const PORTS: std::ops::Range<u16> = 12_000..20_000;
/// The Region that nodes serve.
pub(crate) const REGION: &str = "eu-central-1";
/// The account that nodes have.
pub(crate) const ACCOUNT: &str = "111122223333";

/// How a node is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `keystead dev`, everything in memory; the audit trail goes where the log goes.
    Ephemeral,
    /// `keystead server` with its data on disk and the audit trail in a file.
    Server,
}

/// A node and everything it wrote, in a folder that goes with it.
pub struct Node {
    mode: Mode,
    // Before the folder, so that the process is gone when its folder goes.
    process: Process,
    folder: TempDir,
    operations: SocketAddr,
    target: Target,
    binary: PathBuf,
    /// What its configuration says besides.
    more: String,
}

impl Node {
    /// Starts a node and waits until it is ready.
    ///
    /// # Errors
    /// It does not get ready; the text holds what it wrote.
    pub async fn start(binary: &Path, mode: Mode) -> Result<Self> {
        Self::start_by(binary, mode, |_| Vec::new()).await
    }

    /// Starts a server whose configuration says more, in sections of their own.
    ///
    /// # Errors
    /// It does not get ready; the text holds what it wrote.
    pub async fn start_with(binary: &Path, more: &str) -> Result<Self> {
        Self::launch(binary, Mode::Server, |_| Vec::new(), more).await
    }

    /// Creates another account on a server; what comes back calls as its root.
    ///
    /// # Errors
    /// The program refuses; the text says why.
    pub fn create_account(&self, account: &str) -> Result<Target> {
        let mut command = Command::new(&self.binary);
        command.args(["account", "create", account, "--config"]).arg(self.path("keystead.toml"));
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`keystead account create` failed: {said}");
        let mut target = self.target.clone();
        AccessKey::printed(&String::from_utf8_lossy(&output.stdout))?.give_to(&mut target);
        Ok(target)
    }

    /// Starts a node through another program, which is given the node's folder.
    ///
    /// # Errors
    /// It does not get ready; the text holds what it wrote.
    pub async fn start_by(
        binary: &Path,
        mode: Mode,
        wrapper: impl FnOnce(&Path) -> Vec<OsString>,
    ) -> Result<Self> {
        Self::launch(binary, mode, wrapper, "").await
    }

    async fn launch(
        binary: &Path,
        mode: Mode,
        wrapper: impl FnOnce(&Path) -> Vec<OsString>,
        more: &str,
    ) -> Result<Self> {
        ensure!(binary.is_file(), "{} is not there; build it first", binary.display());
        let folder = tempfile::Builder::new().prefix("keystead-").tempdir()?;
        let [clients, operations] = free_ports()?;
        let target = Target {
            address: SocketAddr::from(([127, 0, 0, 1], clients)),
            region: REGION.into(),
            access_key_id: String::new(),
            secret_access_key: String::new(),
            session_token: None,
            tls: None,
        };
        let operations = SocketAddr::from(([127, 0, 0, 1], operations));
        let config = folder.path().join("keystead.toml");
        let mut words = wrapper(folder.path());
        words.push(binary.into());
        match mode {
            Mode::Ephemeral => {
                let listen = target.address.to_string();
                let arguments = ["dev", "--ephemeral", "--region", REGION, "--listen", &listen];
                words.extend(arguments.map(OsString::from));
            }
            Mode::Server => {
                words.extend(["server", "--config"].map(OsString::from));
                words.push(config.clone().into());
            }
        }
        let process = Process::new(words, folder.path());
        let (binary, more) = (binary.to_path_buf(), more.to_owned());
        let mut node = Self { mode, process, folder, operations, target, binary, more };
        if mode == Mode::Server {
            fs::write(&config, node.configuration())?;
            initialise(&node.binary, &config)?.give_to(&mut node.target);
        }
        node.restart().await?;
        Ok(node)
    }

    /// Where and as whom to call it.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its audit trail, one JSON object a line; in [`Mode::Ephemeral`] between lines of the log.
    pub fn audit(&self) -> PathBuf {
        match self.mode {
            Mode::Ephemeral => self.log(),
            Mode::Server => self.path("audit.json"),
        }
    }

    /// What it wrote to standard error, over all its starts.
    pub fn log(&self) -> PathBuf {
        self.process.log()
    }

    /// A file or folder of its own: `data`, `seal.key`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Kills it without warning, as `kill -9` does, and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again, at the same address, and waits until it is ready.
    ///
    /// # Errors
    /// It does not get ready; the text holds what it wrote.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let deadline = Instant::now() + START;
        self.process.start()?;
        while !self.ready().await {
            if !self.is_alive() || Instant::now() > deadline {
                bail!("the node does not get ready:\n{}", self.last_lines());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Whether the process runs.
    pub fn is_alive(&mut self) -> bool {
        self.process.is_alive()
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// The process does not run.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.process.resident_bytes()
    }

    /// Processor time that it has used since its start, in seconds.
    ///
    /// # Errors
    /// The process does not run.
    pub fn cpu_seconds(&self) -> Result<f64> {
        self.process.cpu_seconds()
    }

    /// The lines of its log that tell of a panic.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn panics(&self) -> Result<Vec<String>> {
        self.process.panics()
    }

    /// The end of its log.
    pub fn last_lines(&self) -> String {
        self.process.last_lines()
    }

    fn configuration(&self) -> String {
        let path = |name: &str| self.path(name).display().to_string();
        format!(
            "region = {REGION:?}\ndata_dir = {:?}\n[listen]\nclients = \"{}\"\n\
             operations = \"{}\"\n[seal]\npath = {:?}\n[audit]\npath = {:?}\n{}",
            path("data"),
            self.target.address,
            self.operations,
            path("seal.key"),
            path("audit.json"),
            self.more,
        )
    }

    async fn ready(&mut self) -> bool {
        if self.mode == Mode::Ephemeral {
            let printed = self.process.printed();
            let Some(address) = operations_address(&printed) else { return false };
            self.operations = address;
            let Ok(access_key) = AccessKey::printed(&printed) else { return false };
            access_key.give_to(&mut self.target);
        }
        is_ready(self.operations).await.unwrap_or(false)
    }
}

/// Makes what a node with this configuration needs to start as the first of its cluster; what
/// comes back is the key of its account.
///
/// # Errors
/// The program refuses; the text says why.
pub(crate) fn initialise(binary: &Path, config: &Path) -> Result<AccessKey> {
    let mut command = Command::new(binary);
    command.args(["cluster", "init", "--account", ACCOUNT, "--config"]).arg(config);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`keystead cluster init` failed: {said}");
    AccessKey::printed(&String::from_utf8_lossy(&output.stdout))
}

/// An access key.
#[derive(Clone)]
pub(crate) struct AccessKey {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// The session token, where it is a temporary one.
    pub(crate) token: Option<String>,
}

impl AccessKey {
    /// One that the program printed for a shell.
    fn printed(text: &str) -> Result<Self> {
        let export = |name: &str| {
            let start = format!("export {name}='");
            let value = text.lines().find_map(|line| line.strip_prefix(&start));
            value.and_then(|value| value.strip_suffix('\'')).map(str::to_owned)
        };
        Ok(Self {
            id: export("AWS_ACCESS_KEY_ID").context("no access key printed")?,
            secret: export("AWS_SECRET_ACCESS_KEY").context("no secret printed")?,
            token: None,
        })
    }

    /// Lets a target be called with it.
    pub(crate) fn give_to(self, target: &mut Target) {
        target.access_key_id = self.id;
        target.secret_access_key = self.secret;
        target.session_token = self.token;
    }
}

fn operations_address(printed: &str) -> Option<SocketAddr> {
    let line = printed.lines().find(|line| line.starts_with("# Health"))?;
    let (_, rest) = line.split_once("http://")?;
    rest.split('/').next()?.parse().ok()
}

/// Whether the node with this operations listener says that it serves.
pub(crate) async fn is_ready(address: SocketAddr) -> Result<bool> {
    Ok(get(address, "/readyz").await?.starts_with("HTTP/1.1 200"))
}

/// The value of a metric of the node with this operations listener, by its name with labels.
pub(crate) async fn metric(address: SocketAddr, name: &str) -> Result<f64> {
    let answer = get(address, "/metrics").await?;
    let value = answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.with_context(|| format!("{address} has no metric {name}"))
}

async fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Ports of the loopback that nobody listens on.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // Held until there are enough, so that none is found twice.
    let mut held = Vec::new();
    for _ in 0..1000 {
        held.extend(TcpListener::bind(("127.0.0.1", fastrand::u16(PORTS))));
        if held.len() == N {
            let mut ports = [0; N];
            for (port, listener) in ports.iter_mut().zip(&held) {
                *port = listener.local_addr()?.port();
            }
            return Ok(ports);
        }
    }
    bail!("no {N} free ports between {} and {}", PORTS.start, PORTS.end)
}
