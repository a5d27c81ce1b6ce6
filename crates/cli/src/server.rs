//! `keystead server`, `keystead config` and `keystead cluster`: a real node.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use keystead_server::admin::AdminSocket;
use keystead_server::boot::{self, NewAccount, Place};
use keystead_server::process::{FileSeal, random};
use keystead_server::tls::TlsIdentity;
use keystead_server::{
    AuditTrail, Front, FrontOptions, Listener, MinFree, Readiness, RegionServer,
};
use keystead_types::AccountId;

use crate::config::Config;
use crate::output::line;
use crate::{logging, serve};

/// Arguments that name a configuration.
#[derive(Args)]
pub struct ConfigArguments {
    /// The configuration file.
    #[arg(long, default_value = "keystead.toml", value_name = "FILE")]
    config: PathBuf,
}

/// `keystead config`
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Check a configuration file and say what is wrong with it.
    Check(ConfigArguments),
}

/// `keystead cluster`
#[derive(Subcommand)]
pub enum ClusterCommand {
    /// Make a new cluster: its root key, its first account, that account's access key.
    Init {
        #[command(flatten)]
        config: ConfigArguments,
        /// The first account.
        #[arg(long, value_name = "ID")]
        account: AccountId,
    },
}

/// Runs `keystead server`.
pub async fn run(arguments: ConfigArguments) -> Result<()> {
    logging::install(true);
    let signals = serve::Signals::watch()?;
    serve::harden();
    let config = Config::load(&arguments.config)?;
    let seal =
        FileSeal::open(&config.seal).context("open the seal that `keystead cluster init` made")?;
    let tls = config.tls.as_ref().map(|(chain, key)| TlsIdentity::load(chain, key)).transpose()?;
    let audit = AuditTrail::file(&config.audit)
        .with_context(|| format!("open the audit trail {}", config.audit.display()))?;
    let listener = Listener::bind(config.clients, tls).await?;
    let place = Place::Folder(config.data_dir.clone());
    let region = boot::open(&config.region, &place, min_free(&config), &seal)
        .await
        .with_context(|| format!("start the node of {}", config.data_dir.display()))?;
    let regions = vec![Arc::new(region)];
    let outcome = serve_all(&config, &regions, listener, Arc::new(audit), signals).await;
    serve::shut_down(&regions, outcome).await
}

async fn serve_all(
    config: &Config,
    regions: &[Arc<RegionServer>],
    listener: Listener,
    audit: Arc<AuditTrail>,
    signals: serve::Signals,
) -> Result<()> {
    let admin = AdminSocket::bind(&config.data_dir.join(AdminSocket::NAME)).await?;
    let readiness = Arc::new(Readiness::new(regions.to_vec()));
    let operations = serve::operations(config.operations, false, readiness.clone()).await?;
    // It answers as long as the process lives: how a node stops is of interest too.
    tokio::spawn(admin.serve(regions.to_vec(), audit.clone(), std::future::pending()));
    tracing::info!(
        region = %config.region,
        clients = %listener.address(),
        %operations,
        "serving"
    );
    let options = FrontOptions::default();
    let front = Arc::new(Front::new(regions.to_vec(), audit, readiness.clone(), options));
    serve::until_stopped(listener, front, readiness, config.shutdown_grace, signals).await
}

/// Runs `keystead config …`.
pub fn config(command: ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Check(arguments) => {
            let config = Config::load(&arguments.config)?;
            FileSeal::open(&config.seal)?;
            if let Some((certificate, key)) = &config.tls {
                TlsIdentity::load(certificate, key)?;
            }
            line(&format!("{} is fine", arguments.config.display()))
        }
    }
}

/// Runs `keystead cluster …`.
pub async fn cluster(command: ClusterCommand) -> Result<()> {
    match command {
        ClusterCommand::Init { config, account } => init(&config, account).await,
    }
}

async fn init(arguments: &ConfigArguments, account: AccountId) -> Result<()> {
    logging::install(false);
    serve::harden();
    let config = Config::load(&arguments.config)?;
    let seal = if config.seal.exists() {
        FileSeal::open(&config.seal)?
    } else {
        FileSeal::create(&config.seal)?
    };
    let place = Place::Folder(config.data_dir.clone());
    let server = boot::open_or_initialise(&config.region, &place, min_free(&config), &seal).await?;
    let regions = [Arc::new(server)];
    let outcome = found(&config, &regions[0], account).await;
    serve::shut_down(&regions, outcome).await
}

async fn found(config: &Config, server: &RegionServer, account: AccountId) -> Result<()> {
    if server.view().accounts().next().is_some() {
        bail!("{} holds a cluster already; nothing was changed", config.data_dir.display());
    }
    let new = NewAccount {
        account,
        access_key_id: new_access_key_id()?.parse()?,
        secret: STANDARD.encode(random::bytes::<30>()?).into(),
    };
    boot::ensure_account(server, &new).await?;
    line(&format!("A new cluster serves {} from {}.", config.region, config.data_dir.display()))?;
    line(&format!("Back up the seal file {}: without it the data", config.seal.display()))?;
    line("cannot be read by anybody, and with it by anybody.")?;
    line("")?;
    line(&format!("The root access key of account {account}, shown this once:"))?;
    line(&format!("export AWS_ACCESS_KEY_ID='{}'", new.access_key_id))?;
    line(&format!("export AWS_SECRET_ACCESS_KEY='{}'", *new.secret))
}

fn min_free(config: &Config) -> MinFree {
    config.min_free.map_or_else(MinFree::default, MinFree::Bytes)
}

/// `AKIA` and 16 random characters of base 32, as IAM makes them.
fn new_access_key_id() -> Result<String> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let random: [u8; 16] = random::bytes()?;
    let tail = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
    Ok("AKIA".chars().chain(tail).collect())
}
