//! `keystead dev`: one process, no setup, well-known credentials, this machine only.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use keystead_server::admin::AdminSocket;
use keystead_server::boot::{self, NewAccount, Place, Setup};
use keystead_server::process::{FileSeal, MemorySeal, Seal};
use keystead_server::regions::LocalCourier;
use keystead_server::{AuditTrail, Front, FrontOptions, Listener, Readiness, RegionServer};
use keystead_types::Region;

use crate::output::line;
use crate::seed::Seed;
use crate::{apply, declared, logging, seed, serve};

/// Arguments of `keystead dev`.
#[derive(Args)]
pub struct DevArguments {
    /// Address for clients; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:9470", value_name = "ADDR")]
    listen: SocketAddr,
    /// Allow an address that other machines can reach. Requests travel in clear.
    #[arg(long)]
    allow_remote: bool,
    /// Where the data is kept.
    #[arg(long, default_value = "keystead-data", value_name = "DIR")]
    data_dir: PathBuf,
    /// Keep everything in memory; nothing survives the process.
    #[arg(long, conflicts_with = "data_dir")]
    ephemeral: bool,
    /// A Region to serve; may be given several times. They share multi-Region keys, nothing else.
    #[arg(long = "region", default_value = "us-east-1", value_name = "REGION")]
    regions: Vec<Region>,
    /// An account that exists in every Region: ID or ID:ACCESS_KEY:SECRET.
    #[arg(
        long = "account",
        default_value = "000000000000:test:test",
        value_parser = seed::account,
        value_name = "ID[:ACCESS_KEY:SECRET]"
    )]
    accounts: Vec<seed::AccountSeed>,
    /// A TOML file with accounts, keys with fixed ids and material, and aliases.
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// A TOML file with users, groups, roles and policies, as `keystead apply` has it.
    #[arg(long, value_name = "FILE")]
    apply: Option<PathBuf>,
}

const OPERATIONS: ([u8; 4], u16) = ([127, 0, 0, 1], 9472);
const GRACE: Duration = Duration::from_secs(10);

/// Runs `keystead dev`.
pub async fn run(arguments: DevArguments) -> Result<()> {
    logging::install(false);
    let signals = serve::Signals::watch()?;
    serve::harden();
    check_address(&arguments)?;
    let seed = arguments.seed.as_deref().map(Seed::read).transpose()?.unwrap_or_default();
    let listener = Listener::bind(arguments.listen, None).await?;
    let mut regions = Vec::new();
    let outcome = serve_all(&arguments, &seed, &mut regions, listener, signals).await;
    serve::shut_down(&regions, outcome).await
}

async fn serve_all(
    arguments: &DevArguments,
    seed: &Seed,
    regions: &mut Vec<Arc<RegionServer>>,
    listener: Listener,
    signals: serve::Signals,
) -> Result<()> {
    let accounts = arguments.accounts.iter().chain(&seed.accounts);
    let accounts = accounts.map(seed::AccountSeed::to_new).collect::<Result<Vec<_>>>()?;
    for name in &arguments.regions {
        let region = open(arguments, name).await.with_context(|| format!("start {name}"))?;
        regions.push(Arc::new(region));
    }
    LocalCourier::connect(regions).await?;
    let audit = Arc::new(AuditTrail::standard_error());
    let declared = arguments.apply.as_deref();
    let declared = declared.map(|path| Ok::<_, anyhow::Error>((path, declared::read(path)?)));
    let declared = declared.transpose()?;
    for region in regions.iter() {
        for account in &accounts {
            boot::ensure_account(region, account).await?;
        }
        seed.plant(region).await?;
        if let Some((path, state)) = &declared {
            apply::at_start(region, &audit, state, path).await?;
        }
    }
    if !arguments.ephemeral {
        let admin = AdminSocket::bind(&arguments.data_dir.join(AdminSocket::NAME)).await?;
        tokio::spawn(admin.serve(regions.clone(), audit.clone(), std::future::pending()));
    }
    let readiness = Arc::new(Readiness::new(regions.clone()));
    let operations =
        serve::operations(SocketAddr::from(OPERATIONS), true, readiness.clone()).await?;
    let options = FrontOptions { bearer_tokens: true, refuse_origin: true };
    let front = Arc::new(Front::new(regions.clone(), audit, readiness.clone(), options));
    if let (Some(account), Some(region)) = (accounts.first(), arguments.regions.first()) {
        announce(account, region, listener.address(), operations)?;
    }
    let stopping = tokio::sync::watch::Sender::new(false);
    serve::until_stopped(listener, front, readiness, GRACE, signals, stopping).await
}

fn check_address(arguments: &DevArguments) -> Result<()> {
    if arguments.listen.ip().is_loopback() {
        return Ok(());
    }
    if !arguments.allow_remote {
        bail!(
            "{} can be reached by other machines, and this serves plain HTTP with well-known \
             credentials; listen on 127.0.0.1, or say --allow-remote if you mean it",
            arguments.listen
        );
    }
    tracing::warn!(address = %arguments.listen, "serving plain HTTP to other machines");
    Ok(())
}

async fn open(arguments: &DevArguments, region: &Region) -> Result<RegionServer> {
    let (place, seal): (Place, Box<dyn Seal>) = if arguments.ephemeral {
        (Place::Memory, Box::new(MemorySeal::generate()?))
    } else {
        let folder = arguments.data_dir.join(region.as_str());
        std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let seal = seal_file(&folder.join("seal.key"))?;
        (Place::Folder(folder), Box::new(seal))
    };
    Ok(Setup::alone(region, &place, &*seal).open_or_initialise().await?)
}

/// The seal beside the data: convenient, and no protection at all.
fn seal_file(path: &Path) -> Result<FileSeal> {
    Ok(if path.exists() { FileSeal::open(path)? } else { FileSeal::create(path)? })
}

/// Prints what a shell needs so that none of its calls leaves the machine.
fn announce(
    account: &NewAccount,
    region: &Region,
    address: SocketAddr,
    operations: SocketAddr,
) -> Result<()> {
    let endpoint = format!("http://{address}");
    line("# Keystead is ready. Paste these lines into the shell of your tools:")?;
    let exports = [
        ("AWS_ACCESS_KEY_ID", account.access_key_id.as_str()),
        ("AWS_SECRET_ACCESS_KEY", &account.secret),
        ("AWS_REGION", region.as_str()),
        ("AWS_DEFAULT_REGION", region.as_str()),
        ("AWS_ENDPOINT_URL_KMS", &endpoint),
        ("AWS_ENDPOINT_URL_STS", &endpoint),
        ("AWS_ENDPOINT_URL_IAM", &endpoint),
        ("AWS_ENDPOINT_URL_CLOUDTRAIL", &endpoint),
    ];
    for (name, value) in exports {
        ensure!(!value.contains('\''), "{name} contains a quote and cannot be pasted");
        line(&format!("export {name}='{value}'"))?;
    }
    line(&format!("# Older tools: aws --endpoint-url {endpoint} kms list-keys"))?;
    line(&format!("# Health and metrics: http://{operations}/readyz /healthz /metrics"))
}
