//! `keystead server` and `keystead config`: a real node.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use keystead_server::admin::{AdminListener, AdminSocket, OperatorTls};
use keystead_server::boot::{Place, Setup};
use keystead_server::cluster::{self, Assembly, MemberHost};
use keystead_server::peer::join::Secret;
use keystead_server::peer::{GrpcTransport, PeerListener};
use keystead_server::process::FileSeal;
use keystead_server::regions::{GrpcCourier, RegionListener};
use keystead_server::tls::TlsIdentity;
use keystead_server::{
    AuditTrail, Front, FrontOptions, Issuers, Listener, Member, MinFree, Readiness, RegionServer,
    Workload,
};
use tokio::sync::watch;

use crate::config::Config;
use crate::output::line;
use crate::{logging, serve};

/// Arguments that name a configuration.
#[derive(Args)]
pub struct ConfigArguments {
    /// The configuration file.
    #[arg(long, default_value = "keystead.toml", value_name = "FILE")]
    pub config: PathBuf,
}

/// `keystead config`
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Check a configuration file and say what is wrong with it.
    Check(ConfigArguments),
}

/// Runs `keystead config …`.
pub fn config(command: ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Check(arguments) => {
            let config = Config::load(&arguments.config)?;
            FileSeal::open(&config.seal)?;
            tls(&config)?;
            operator_tls(&config)?;
            join_secret(&config)?;
            Issuers::new(&config.issuers)?;
            line(&format!("{} is fine", arguments.config.display()))
        }
    }
}

/// Runs `keystead server`.
pub async fn run(arguments: ConfigArguments) -> Result<()> {
    logging::install(true);
    let mut signals = serve::Signals::watch()?;
    serve::harden();
    let config = Config::load(&arguments.config)?;
    let seal =
        FileSeal::open(&config.seal).context("open the seal that `keystead cluster init` made")?;
    let audit = open_audit(&config)?;
    let clients =
        Listener::bind(config.clients, tls(&config)?).await?.behind(config.proxies.clone());
    let peers = match config.peers {
        Some(address) => Some(bind_peers(address).await?),
        None => None,
    };
    let operators = bind_operators(&config).await?;
    let readiness = Arc::new(Readiness::starting());
    let operations = serve::operations(config.operations, false, readiness.clone()).await?;

    let starting = start(&config, &seal, peers);
    let started = tokio::select! {
        started = starting => started,
        () = signals.received() => return Ok(()),
    };
    let Started { region, peers, others } =
        started.with_context(|| format!("start the node of {}", config.data_dir.display()))?;
    let regions = vec![region];
    readiness.started(regions.clone());
    let operators_at = operators.as_ref().map(AdminListener::address);
    let others_at = others.as_ref().map(RegionListener::address);
    let serving = Serving {
        config: &config,
        regions: &regions,
        clients,
        operators,
        peers,
        others,
        readiness,
    };
    tracing::info!(
        region = %config.region,
        clients = %serving.clients.address(),
        operators = operators_at.map(tracing::field::display),
        regions = others_at.map(tracing::field::display),
        %operations,
        "serving"
    );
    let outcome = serving.until_stopped(audit, signals).await;
    serve::shut_down(&regions, outcome).await
}

/// The audit trail that the configuration names.
pub fn open_audit(config: &Config) -> Result<Arc<AuditTrail>> {
    let opened = AuditTrail::file(&config.audit);
    let opened = opened.with_context(|| format!("open the audit trail {}", config.audit.display()));
    opened.map(Arc::new)
}

async fn bind_peers(address: std::net::SocketAddr) -> Result<PeerListener> {
    PeerListener::bind(address).await.with_context(|| format!("listen on {address} for members"))
}

async fn bind_operators(config: &Config) -> Result<Option<AdminListener>> {
    match (&config.admin, operator_tls(config)?) {
        (Some(admin), Some(tls)) => Ok(Some(AdminListener::bind(admin.listen, tls).await?)),
        _ => Ok(None),
    }
}

/// How operators on other machines see this node, where they are served.
fn operator_tls(config: &Config) -> Result<Option<OperatorTls>> {
    let Some(admin) = &config.admin else { return Ok(None) };
    let (certificate, key) = &admin.tls;
    let callers = &config.client_authorities;
    let loaded = OperatorTls::load((certificate, key), &admin.client_ca, callers);
    Ok(Some(loaded.context("set up the listener for operators")?))
}

fn tls(config: &Config) -> Result<Option<TlsIdentity>> {
    let Some((chain, key)) = &config.tls else { return Ok(None) };
    Ok(Some(TlsIdentity::load(chain, key, &config.client_authorities)?))
}

/// The join secret, where the configuration names one.
pub fn join_secret(config: &Config) -> Result<Option<Secret>> {
    let Some(path) = &config.cluster.join_secret else { return Ok(None) };
    let read = || format!("read the join secret {}", path.display());
    let bytes = std::fs::read(path).with_context(read)?;
    Secret::new(&bytes).with_context(read).map(Some)
}

/// What a node of this configuration is started with.
pub fn setup<'a>(
    config: &'a Config,
    place: &'a Place,
    seal: &'a FileSeal,
    transport: Arc<GrpcTransport>,
    listening: Option<&PeerListener>,
) -> Setup<'a> {
    let address = config.cluster.advertise.clone();
    let listening = listening.map(|listener| listener.address().to_string());
    let address = address.or(listening).unwrap_or_default();
    Setup {
        min_free: min_free(config),
        member: Member { name: config.name.clone(), address },
        transport,
        reads: config.reads,
        ..Setup::alone(&config.region, place, seal)
    }
}

fn min_free(config: &Config) -> MinFree {
    config.min_free.map_or_else(MinFree::default, MinFree::Bytes)
}

/// The workloads that all authorities vouch for.
fn workloads(config: &Config) -> Vec<Workload> {
    let authorities = config.client_authorities.iter();
    authorities.flat_map(|authority| authority.workloads.iter().cloned()).collect()
}

/// A node that has started.
struct Started {
    region: Arc<RegionServer>,
    peers: Option<tokio::task::JoinHandle<()>>,
    others: Option<RegionListener>,
}

/// From whatever the data folder holds to a node that takes part.
async fn start(
    config: &Config,
    seal: &FileSeal,
    mut peers: Option<PeerListener>,
) -> Result<Started> {
    let place = Place::Folder(config.data_dir.clone());
    let transport = Arc::new(GrpcTransport::new());
    let secret = join_secret(config)?;
    let issuers = Issuers::new(&config.issuers)?;
    let setup = setup(config, &place, seal, transport.clone(), peers.as_ref());
    // One that died while it founded a cluster has the format, and goes on from there.
    let mut founds = config.cluster.expect.is_some() && !cluster::has_identity(&config.data_dir);
    if !setup.is_formatted()? {
        let Some(secret) = secret.as_ref().filter(|_| !config.cluster.seeds.is_empty()) else {
            bail!(
                "the data folder is not initialised; run `keystead cluster init` for a new \
                 cluster or `keystead cluster join` for one that exists"
            );
        };
        let listener = peers.take().context("listen.peers is missing: members need it")?;
        let assembly = Assembly {
            region: &config.region,
            data_dir: &config.data_dir,
            seal,
            name: &config.name,
            seeds: &config.cluster.seeds,
            secret,
            expect: config.cluster.expect,
        };
        let (listener, joined) = assembly.wait(listener).await;
        founds = !joined?;
        peers = Some(listener);
    }
    let opened = if founds { setup.open_or_initialise().await } else { setup.open().await };
    let region = opened?
        .with_use_interval(config.use_interval)
        .with_erase_within(config.erase_within)
        .with_quotas(config.quotas.clone())
        .with_issuers(issuers)
        .with_workloads(workloads(config));
    let region = Arc::new(if config.cluster.learner { region.as_learner() } else { region });
    if peers.is_none() && config.regions.is_none() {
        return Ok(Started { region, peers: None, others: None });
    }
    let identity = Arc::new(cluster::ensure_identity(&region, &config.data_dir).await?);
    transport.identify(identity.clone());
    region.set_courier(Arc::new(GrpcCourier::new(identity.clone())));
    let others = match config.regions {
        Some(address) => Some(RegionListener::bind(address, region.clone(), &identity).await?),
        None => None,
    };
    let Some(listener) = peers else { return Ok(Started { region, peers: None, others }) };
    let host = MemberHost::new(region.clone(), config.name.clone());
    let joining = secret.map(|secret| (secret, Arc::new(host) as _));
    let serving = listener.serve(identity, region.node().inbox(), joining);
    Ok(Started { region, peers: Some(tokio::spawn(serving)), others })
}

/// A node that serves.
struct Serving<'a> {
    config: &'a Config,
    regions: &'a [Arc<RegionServer>],
    clients: Listener,
    operators: Option<AdminListener>,
    peers: Option<tokio::task::JoinHandle<()>>,
    others: Option<RegionListener>,
    readiness: Arc<Readiness>,
}

impl Serving<'_> {
    async fn until_stopped(self, audit: Arc<AuditTrail>, signals: serve::Signals) -> Result<()> {
        let Self { config, regions, clients, operators, peers, others, readiness } = self;
        let admin = AdminSocket::bind(&config.data_dir.join(AdminSocket::NAME)).await?;
        // It answers as long as the process lives: how a node stops is of interest too.
        tokio::spawn(admin.serve(regions.to_vec(), audit.clone(), std::future::pending()));
        if peers.is_some() {
            for region in regions {
                let (region, seeds) = (region.clone(), config.cluster.seeds.clone());
                tokio::spawn(async move { cluster::enrol(&region, &seeds).await });
            }
        }
        let options = FrontOptions::default();
        let front = Front::new(regions.to_vec(), audit.clone(), readiness.clone(), options)
            .behind(config.proxies.clone());
        let front = Arc::new(front);
        let grace = config.shutdown_grace;
        let stopping = watch::Sender::new(false);
        let mut stopped = stopping.subscribe();
        let mut stopped_too = stopping.subscribe();
        let others = async {
            let Some(listener) = others else { return };
            listener.serve(async { drop(stopped_too.wait_for(|stopped| *stopped).await) }).await;
        };
        let operators = async {
            let Some(listener) = operators else { return };
            // An error means that the sender is gone, which is as good a reason to stop.
            let stop = async { drop(stopped.wait_for(|stopped| *stopped).await) };
            listener.serve(regions.to_vec(), audit, stop, grace).await;
        };
        let clients = serve::until_stopped(clients, front, readiness, grace, signals, stopping);
        tokio::join!(clients, operators, others).0
    }
}
