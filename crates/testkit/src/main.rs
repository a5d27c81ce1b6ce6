//! `keystead-harness`: one check per subcommand.
//!
//! Prints one line of figures. Exit status 0: all is well; 1: a violation, told on standard error;
//! 2: the check itself could not be carried out.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use keystead_testkit::checks::{
    Outcome, audit, bench, bench_cluster, chaos, fairness, listings, material, memory, mutations,
    retries, revocation, sim, slow_keys, syscalls, timing, tls, wycheproof,
};
use keystead_testkit::proxy::DropFirstReply;

#[derive(Parser)]
#[command(name = "keystead-harness", about = "Checks of real nodes")]
struct Arguments {
    #[command(subcommand)]
    check: Check,
}

#[derive(Subcommand)]
enum Check {
    /// The order of log write, sync and reply, as the kernel saw it.
    Syscalls(syscalls::Options),
    /// Every reply of a node that is killed at random has its audit line; no line has a secret.
    AuditUnderKill(audit::Options),
    /// Calls whose first replies are lost take effect once.
    Retries(retries::Options),
    /// Mutated and damaged requests do no harm.
    Mutations(mutations::Options),
    /// A cluster under load keeps its promises while its nodes are killed, paused and cut off.
    Chaos(chaos::Options),
    /// No right outlives the acknowledgement of its revocation, through any node of a cluster.
    Revocation(revocation::Options),
    /// Simulated regions keep their promises while everything goes wrong.
    Sim(sim::Options),
    /// Encrypt per second beside a bare server.
    Bench(bench::Options),
    /// Mutations per second of three nodes beside etcd, and how long Encrypt takes.
    BenchCluster(bench_cluster::Options),
    /// Listings of many keys have each once, while others come and go.
    Listings(listings::Options),
    /// How long Encrypt takes while another account asks for more than it may.
    Fairness(fairness::Options),
    /// Memory per key.
    Memory(memory::Options),
    /// How long Encrypt takes while RSA keys are made.
    SlowKeys(slow_keys::Options),
    /// Whether the time of a refusal tells what was wrong with a ciphertext.
    Timing(timing::Options),
    /// Project Wycheproof's vectors with imported keys, over the wire.
    Wycheproof(wycheproof::Options),
    /// The key exchange that a running node agrees on with a TLS client.
    TlsGroup(tls::Options),
    /// A proxy for tests of other clients; prints its address and runs until it is ended.
    Proxy(ProxyOptions),
    /// Does with key material what it is told on standard input, for tests in other languages.
    Material,
    /// The server that `bench` compares with.
    #[command(hide = true)]
    BareServer(bench::BareOptions),
}

#[derive(Args)]
struct ProxyOptions {
    /// Lose the reply to the first attempt of each call.
    #[arg(long, required = true)]
    drop_first_reply: bool,
    /// The operation whose replies are lost.
    #[arg(long, default_value = "CreateKey")]
    operation: String,
    /// The node.
    #[arg(long, value_name = "ADDR")]
    target: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().check {
        Check::Syscalls(options) => syscalls::run(&options).await,
        Check::AuditUnderKill(options) => audit::run(&options).await,
        Check::Retries(options) => retries::run(&options).await,
        Check::Mutations(options) => mutations::run(&options).await,
        Check::Chaos(options) => chaos::run(&options).await,
        Check::Revocation(options) => revocation::run(&options).await,
        Check::Sim(options) => sim::run(&options),
        Check::Bench(options) => bench::run(&options).await,
        Check::BenchCluster(options) => bench_cluster::run(&options).await,
        Check::Listings(options) => listings::run(&options).await,
        Check::Fairness(options) => fairness::run(&options).await,
        Check::Memory(options) => memory::run(&options).await,
        Check::SlowKeys(options) => slow_keys::run(&options).await,
        Check::Timing(options) => timing::run(&options),
        Check::Wycheproof(options) => wycheproof::run(&options).await,
        Check::TlsGroup(options) => tls::run(&options).await,
        Check::Proxy(options) => proxy(&options).await.map(|()| Outcome::default()),
        Check::Material => material::run().map(|()| Outcome::default()),
        Check::BareServer(options) => {
            bench::serve_bare(&options).await.map(|()| Outcome::default())
        }
    };
    report(outcome)
}

fn report(outcome: Result<Outcome>) -> ExitCode {
    let mut errors = std::io::stderr();
    // Where an output is gone there is nobody to tell; the exit code still says it.
    match outcome {
        Ok(outcome) => {
            let _ = writeln!(std::io::stdout(), "{}", outcome.figures);
            for violation in &outcome.violations {
                let _ = writeln!(errors, "violation: {violation}");
            }
            ExitCode::from(u8::from(!outcome.violations.is_empty()))
        }
        Err(error) => {
            let _ = writeln!(errors, "keystead-harness: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn proxy(options: &ProxyOptions) -> Result<()> {
    let proxy = DropFirstReply::start(options.target, &options.operation).await?;
    writeln!(std::io::stdout(), "{}", proxy.address())?;
    std::future::pending().await
}
