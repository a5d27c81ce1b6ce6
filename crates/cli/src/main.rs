//! `keystead`: a self-hosted key management service that speaks the AWS KMS API.

mod apply;
mod client;
mod cluster;
mod config;
mod credentials;
mod declared;
mod deletion;
mod dev;
mod erasure;
mod explain;
mod import;
mod key;
mod logging;
mod login;
mod output;
mod region;
mod seed;
mod serve;
mod server;
mod service;
mod status;
mod web_identity;

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
    /// Regions that share multi-Region keys with this one.
    #[command(subcommand)]
    Region(region::RegionCommand),
    /// Services that act for users.
    #[command(subcommand)]
    Service(service::ServiceCommand),
    /// Make accounts, users, groups, roles and policies what a file declares.
    Apply(apply::ApplyArguments),
    /// Show how a node is.
    Status(status::StatusArguments),
    /// Tell whether a principal may do something to a key, and why.
    Explain(explain::ExplainArguments),
    /// List everybody who may do something to a key.
    WhoCan(explain::WhoCanArguments),
    /// List keys that are open to everybody, and access keys that are old or of a root.
    Report(explain::ReportArguments),
    /// Create, list, describe and use keys.
    Key(key::KeyArguments),
    /// Print temporary credentials for a token of an issuer, as `credential_process` of AWS's tools
    /// takes them.
    Credentials(credentials::CredentialsArguments),
    /// Sign in at an issuer with a browser, for credentials of a role in a profile of AWS's tools.
    Login(login::LoginArguments),
}

/// What exit codes mean.
mod exit {
    /// Something failed; standard error says what.
    pub const FAILED: u8 = 1;
    /// `keystead explain`: it is denied.
    pub const DENIED: u8 = 1;
    /// `keystead explain`: there is no answer; standard error says why.
    pub const UNANSWERED: u8 = 2;
    /// The service refused the request.
    pub const REFUSED: u8 = 3;
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return report(&anyhow::Error::new(error).context("start the runtime"), exit::FAILED);
        }
    };
    let failed = match arguments.command {
        Command::Explain(_) => exit::UNANSWERED,
        _ => exit::FAILED,
    };
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Explain(arguments) => {
                let allowed = explain::explain(arguments).await?;
                return Ok(if allowed { ExitCode::SUCCESS } else { exit::DENIED.into() });
            }
            Command::Dev(arguments) => dev::run(arguments).await,
            Command::Server(arguments) => server::run(arguments).await,
            Command::Config(command) => server::config(command),
            Command::Cluster(command) => cluster::run(command).await,
            Command::Account(command) => cluster::account(command).await,
            Command::Region(command) => region::run(command).await,
            Command::Service(command) => service::run(command).await,
            Command::Apply(arguments) => apply::run(arguments).await,
            Command::Status(arguments) => status::run(arguments).await,
            Command::WhoCan(arguments) => explain::who_can(arguments).await,
            Command::Report(arguments) => explain::report(arguments).await,
            Command::Key(arguments) => key::run(arguments).await,
            Command::Credentials(arguments) => credentials::run(arguments).await,
            Command::Login(arguments) => login::run(arguments).await,
        }
        .map(|()| ExitCode::SUCCESS)
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result.unwrap_or_else(|error| report(&error, failed))
}

fn report(error: &anyhow::Error, failed: u8) -> ExitCode {
    use std::io::Write;
    // Where standard error is gone there is nobody to tell; the exit code still says it.
    let _ = writeln!(std::io::stderr(), "keystead: {error:#}");
    let refused = error.downcast_ref::<client::ServiceError>().is_some();
    ExitCode::from(if refused { exit::REFUSED } else { failed })
}
