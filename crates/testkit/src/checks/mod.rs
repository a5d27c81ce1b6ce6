//! The checks, each of which runs nodes of its own and says what it counted.

use std::path::PathBuf;

use clap::Args;

pub mod audit;
pub mod bench;
pub mod bench_cluster;
pub mod chaos;
mod decision;
pub mod fairness;
pub mod listings;
pub mod material;
pub mod memory;
pub mod mutations;
pub mod retries;
pub mod revocation;
pub mod sim;
pub mod slow_keys;
pub mod syscalls;
pub mod timing;
pub mod tls;
pub mod wycheproof;

/// What every check is told.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The program that is tested.
    #[arg(long, env = "KEYSTEAD_BIN", value_name = "FILE")]
    pub binary: PathBuf,
    /// What all random choices follow from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One line of what was counted and measured.
    pub figures: String,
    /// What should not have been.
    pub violations: Vec<String>,
}

impl Outcome {
    fn violation(&mut self, text: impl Into<String>) {
        self.violations.push(text.into());
    }

    fn require(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(text());
        }
    }
}

/// The generator of one of several workers.
fn worker_rng(seed: u64, worker: usize) -> fastrand::Rng {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..=worker).map(|_| rng.fork()).last().unwrap_or(rng)
}
