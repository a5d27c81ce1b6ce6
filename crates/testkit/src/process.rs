//! A program in a process of its own: signalled, killed without warning, started again.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

const LAST_LINES: usize = 20;
/// What `/proc` counts time in, on every Linux: hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// A program that is started any number of times in one folder, where its output goes.
pub struct Process {
    words: Vec<OsString>,
    folder: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A program with its arguments, to be run in this folder; not started yet.
    pub fn new(words: Vec<OsString>, folder: &Path) -> Self {
        Self { words, folder: folder.to_owned(), child: None }
    }

    /// Starts it. What it writes to standard error is added to its log; what it prints replaces
    /// what an earlier start printed.
    ///
    /// # Errors
    /// There is no such program, or its output cannot go to the folder.
    pub fn start(&mut self) -> Result<()> {
        let (program, arguments) = self.words.split_first().context("no program")?;
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(File::create(self.output())?).stderr(log);
        let started = command.spawn();
        self.child = Some(started.with_context(|| format!("start {}", program.display()))?);
        Ok(())
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

    /// Sends it a signal, by its name without `SIG`.
    ///
    /// # Errors
    /// It does not run.
    pub fn signal(&self, name: &str) -> Result<()> {
        // The shell's own `kill`, for not every system has the program.
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"kill -s "$1" "$2""#, "sh", name, &self.child()?.id().to_string()]);
        ensure!(shell.status()?.success(), "SIG{name} could not be sent");
        Ok(())
    }

    /// Whether it was started and not killed since; it may have ended by itself.
    pub fn is_started(&self) -> bool {
        self.child.is_some()
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// It does not run.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child()?.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")).context("no VmRSS")?;
        Ok(kibibytes.trim().parse::<u64>()? * 1024)
    }

    /// Processor time that it has used since its start, in seconds.
    ///
    /// # Errors
    /// It does not run.
    pub fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds(&self.child()?.id().to_string())
    }

    /// The file with what it wrote to standard error, over all its starts.
    pub fn log(&self) -> PathBuf {
        self.folder.join("stderr")
    }

    /// What it has printed since it was started last.
    pub fn printed(&self) -> String {
        fs::read_to_string(self.output()).unwrap_or_default()
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
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    fn child(&self) -> Result<&Child> {
        self.child.as_ref().context("the process does not run")
    }

    fn output(&self) -> PathBuf {
        self.folder.join("stdout")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is left to be done about a process that cannot be killed.
        let _ = self.kill();
    }
}

/// Processor time that this very program has used, in seconds.
///
/// # Errors
/// `/proc` cannot be read.
pub fn own_cpu_seconds() -> Result<f64> {
    cpu_seconds("self")
}

/// Processor time that nobody on this machine has used, waiting for a disk included, in seconds.
///
/// # Errors
/// `/proc` cannot be read.
pub fn idle_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    // Of all processors together: user, nice, system, idle, waiting for a disk.
    let total = stat.strip_prefix("cpu ").context("no processors in /proc")?;
    seconds(total, 3)
}

fn cpu_seconds(process: &str) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field, in brackets, may hold blanks; user and system time are the 14th and 15th.
    let (_, rest) = stat.rsplit_once(')').context("no name in /proc")?;
    seconds(rest, 11)
}

/// The sum of two fields that count time.
fn seconds(fields: &str, skipped: usize) -> Result<f64> {
    let ticks = fields.split_whitespace().skip(skipped).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()? as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn shell(script: &str, folder: &Path) -> Process {
        Process::new(["sh", "-c", script].map(OsString::from).into(), folder)
    }

    #[test]
    fn keeps_what_it_writes_and_takes_signals() {
        let folder = tempfile::tempdir().unwrap();
        let mut process =
            shell("echo told; echo logged >&2; kill -s STOP $$; exit 3", folder.path());
        for start in 1..=2 {
            process.start().unwrap();
            while process.last_lines().lines().count() < start {}
            assert!(process.is_alive(), "it waits to be continued");
            assert_eq!(process.printed(), "told\n");
            assert!(process.resident_bytes().unwrap() > 0);
            process.kill().unwrap();
            assert!(!process.is_alive());
        }
        assert_eq!(process.last_lines(), "logged\nlogged");
        assert!(process.signal("CONT").is_err(), "nobody is there");
    }

    #[test]
    fn uses_time_while_it_is_busy() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("while :; do :; done", folder.path());
        process.start().unwrap();
        let (start, own) = (Instant::now(), own_cpu_seconds().unwrap());
        while process.cpu_seconds().unwrap() < 0.05 || own_cpu_seconds().unwrap() < own + 0.05 {
            assert!(start.elapsed() < Duration::from_secs(60), "no time is counted");
        }
    }

    #[test]
    fn ends_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("sleep 1000", folder.path());
        process.start().unwrap();
        let proc = PathBuf::from(format!("/proc/{}", process.child().unwrap().id()));
        process.signal("STOP").unwrap();
        assert!(proc.exists());
        drop(process);
        assert!(!proc.exists());
    }
}
