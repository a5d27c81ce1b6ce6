//! A node in a process of its own: started, killed without warning, started again.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Target;

const START: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
/// Ports that no outgoing connection is given, so that a killed node finds its own again.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "111122223333";

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
    binary: PathBuf,
    mode: Mode,
    /// A program and its arguments that the node is started by.
    wrapper: Vec<OsString>,
    folder: TempDir,
    child: Option<Child>,
    operations: SocketAddr,
    target: Target,
}

impl Node {
    /// Starts a node and waits until it is ready.
    ///
    /// # Errors
    /// It does not get ready; the text holds what it wrote.
    pub async fn start(binary: &Path, mode: Mode) -> Result<Self> {
        Self::start_by(binary, mode, |_| Vec::new()).await
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
        ensure!(binary.is_file(), "{} is not there; build it first", binary.display());
        let folder = tempfile::Builder::new().prefix("keystead-").tempdir()?;
        let (clients, operations) = (free_port()?, free_port()?);
        let target = Target {
            address: SocketAddr::from(([127, 0, 0, 1], clients)),
            region: REGION.into(),
            access_key_id: String::new(),
            secret_access_key: String::new(),
        };
        let wrapper = wrapper(folder.path());
        let operations = SocketAddr::from(([127, 0, 0, 1], operations));
        let binary = binary.to_owned();
        let mut node = Self { binary, mode, wrapper, folder, child: None, operations, target };
        if mode == Mode::Server {
            node.initialise()?;
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
        self.path("stderr")
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
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Starts it again, at the same address, and waits until it is ready.
    ///
    /// # Errors
    /// It does not get ready; the text holds what it wrote.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let deadline = Instant::now() + START;
        self.child = Some(self.command()?.spawn().context("start the node")?);
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
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// The process does not run.
    pub fn resident_bytes(&self) -> Result<u64> {
        let child = self.child.as_ref().context("the node does not run")?;
        let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")).context("no VmRSS")?;
        Ok(kibibytes.trim().parse::<u64>()? * 1024)
    }

    /// The lines of its log that tell of a panic.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn panics(&self) -> Result<Vec<String>> {
        let log = fs::read(self.log())?;
        let log = String::from_utf8_lossy(&log);
        Ok(log.lines().filter(|line| line.contains("panicked at")).map(str::to_owned).collect())
    }

    /// The end of its log.
    pub fn last_lines(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn initialise(&mut self) -> Result<()> {
        let path = |name: &str| self.path(name).display().to_string();
        let text = format!(
            "region = {REGION:?}\ndata_dir = {:?}\n[listen]\nclients = \"{}\"\n\
             operations = \"{}\"\n[seal]\npath = {:?}\n[audit]\npath = {:?}\n",
            path("data"),
            self.target.address,
            self.operations,
            path("seal.key"),
            path("audit.json"),
        );
        fs::write(self.path("keystead.toml"), text)?;
        let mut command = Command::new(&self.binary);
        command.args(["cluster", "init", "--account", ACCOUNT, "--config"]);
        let output = command.arg(self.path("keystead.toml")).output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "`keystead cluster init` failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        self.read_exports(&printed)
    }

    fn command(&self) -> Result<Command> {
        let mut words = self.wrapper.clone();
        words.push(self.binary.clone().into());
        match self.mode {
            Mode::Ephemeral => {
                let listen = self.target.address.to_string();
                let arguments = ["dev", "--ephemeral", "--region", REGION, "--listen", &listen];
                words.extend(arguments.map(OsString::from));
            }
            Mode::Server => {
                words.extend(["server", "--config"].map(OsString::from));
                words.push(self.path("keystead.toml").into());
            }
        }
        let (program, arguments) = words.split_first().context("no program")?;
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(File::create(self.path("stdout"))?).stderr(log);
        Ok(command)
    }

    async fn ready(&mut self) -> bool {
        if self.mode == Mode::Ephemeral {
            let printed = fs::read_to_string(self.path("stdout")).unwrap_or_default();
            let Some(address) = operations_address(&printed) else { return false };
            self.operations = address;
            if self.read_exports(&printed).is_err() {
                return false;
            }
        }
        is_ready(self.operations).await.unwrap_or(false)
    }

    fn read_exports(&mut self, printed: &str) -> Result<()> {
        let export = |name: &str| {
            let start = format!("export {name}='");
            let value = printed.lines().find_map(|line| line.strip_prefix(&start));
            value.and_then(|value| value.strip_suffix('\'')).map(str::to_owned)
        };
        self.target.access_key_id = export("AWS_ACCESS_KEY_ID").context("no access key printed")?;
        self.target.secret_access_key =
            export("AWS_SECRET_ACCESS_KEY").context("no secret printed")?;
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Nothing is left to be done about a process that cannot be killed.
        let _ = self.kill();
    }
}

fn operations_address(printed: &str) -> Option<SocketAddr> {
    let line = printed.lines().find(|line| line.starts_with("# Health"))?;
    let (_, rest) = line.split_once("http://")?;
    rest.split('/').next()?.parse().ok()
}

async fn is_ready(address: SocketAddr) -> Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let request = "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

fn free_port() -> Result<u16> {
    for _ in 0..1000 {
        let port = fastrand::u16(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between {} and {}", PORTS.start, PORTS.end)
}
