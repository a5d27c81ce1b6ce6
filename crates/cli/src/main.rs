//! `keystead`: a self-hosted key management service that speaks the AWS KMS API.

mod client;
mod cluster;
mod config;
mod dev;
mod key;
mod logging;
mod output;
mod seed;
mod serve;
mod server;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Memory is erased when it is given back.
#[global_allocator]
static ALLOCATOR: keystead_server::process::ZeroingAllocator<mimalloc::MiMalloc> =
    keystead_server::process::ZeroingAllocator::over(mimalloc::MiMalloc);

/// Which optional parts are in this build.
#[cfg(feature = "test-clock")]
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+test-clock");
#[cfg(not(feature = "test-clock"))]
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A self-hosted key management service that speaks the AWS KMS API.
#[derive(Parser)]
#[command(name = "keystead", version = VERSION)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a node for development: no setup, this machine only, well-known credentials.
    Dev(dev::DevArguments),
    /// Run a node.
    Server(server::ConfigArguments),
    /// Check configuration files.
    #[command(subcommand)]
    Config(server::ConfigCommand),
    /// Make and manage a cluster.
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Create and list accounts.
    #[command(subcommand)]
    Account(cluster::AccountCommand),
    /// Show how a node is.
    Status(status::StatusArguments),
    /// Create, list, describe and use keys.
    Key(key::KeyArguments),
}

/// What exit codes mean.
mod exit {
    /// Something failed; standard error says what.
    pub const FAILED: u8 = 1;
    /// The service refused the request.
    pub const REFUSED: u8 = 3;
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&anyhow::Error::new(error).context("start the runtime")),
    };
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Dev(arguments) => dev::run(arguments).await,
            Command::Server(arguments) => server::run(arguments).await,
            Command::Config(command) => server::config(command),
            Command::Cluster(command) => cluster::run(command).await,
            Command::Account(command) => cluster::account(command).await,
            Command::Status(arguments) => status::run(arguments).await,
            Command::Key(arguments) => key::run(arguments).await,
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn report(error: &anyhow::Error) -> ExitCode {
    use std::io::Write;
    // Where standard error is gone there is nobody to tell; the exit code still says it.
    let _ = writeln!(std::io::stderr(), "keystead: {error:#}");
    let refused = error.downcast_ref::<client::ServiceError>().is_some();
    ExitCode::from(if refused { exit::REFUSED } else { exit::FAILED })
}
