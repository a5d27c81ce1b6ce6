//! Running a front until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use keystead_server::{Front, Listener, OperationsPort, Readiness, RegionServer, metrics};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// For so long requests are taken after a process said that it is not ready any more.
const DRAIN: Duration = Duration::from_millis(300);

/// Prepares the process for holding secrets.
pub fn harden() {
    for failure in keystead_server::process::harden_process() {
        tracing::warn!(%failure, "this process could not be hardened");
    }
}

/// The operations listener: on this address, or any free port of it where that is allowed.
pub async fn operations(
    address: SocketAddr,
    any_port: bool,
    readiness: Arc<Readiness>,
) -> Result<SocketAddr> {
    let listener = match TcpListener::bind(address).await {
        Err(error) if any_port && error.kind() == std::io::ErrorKind::AddrInUse => {
            TcpListener::bind((address.ip(), 0)).await
        }
        bound => bound,
    };
    let listener = listener.with_context(|| format!("listen on {address} for operations"))?;
    let address = listener.local_addr()?;
    let port = Arc::new(OperationsPort::new(readiness, metrics::install().ok()));
    tokio::spawn(port.serve(listener));
    Ok(address)
}

/// The signals that ask a process to end.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Watches for them from now on: the first thing to do, so that one that comes while the node
    /// starts ends it well, too.
    pub fn watch() -> Result<Self> {
        let watch = |kind| signal(kind).context("watch for signals");
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: watch(terminate)?, interrupt: watch(interrupt)? })
    }

    /// Waits for one of them.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Stops the nodes of these Regions, whatever came of serving them: a store that is still open
/// when the process ends may take it down with an abort.
pub async fn shut_down(regions: &[Arc<RegionServer>], outcome: Result<()>) -> Result<()> {
    let mut stopped = Ok(());
    for region in regions {
        region.report_last_uses().await;
        let shutdown = region.node().shutdown().await;
        stopped = stopped.and(shutdown.with_context(|| format!("stop {}", region.name())));
    }
    outcome.and(stopped)
}

/// Serves until SIGTERM or SIGINT, or until a node fails for good. `stopping` becomes true when
/// no connection is taken any more, for listeners beside this one.
pub async fn until_stopped(
    listener: Listener,
    front: Arc<Front>,
    readiness: Arc<Readiness>,
    grace: Duration,
    mut signals: Signals,
    stopping: watch::Sender<bool>,
) -> Result<()> {
    for region in front.regions() {
        let (region, audit) = (region.clone(), front.audit().clone());
        tokio::spawn(async move {
            tokio::join!(
                region.run_due_work(&audit),
                region.run_use_reports(),
                region.run_erasures(),
                region.run_issuers(),
                Arc::clone(&region).run_region_exchange(audit.clone())
            );
        });
    }
    let (failed, mut failure) = tokio::sync::mpsc::channel::<String>(1);
    for region in front.regions() {
        let (stopped, failed) = (region.node().stopped(), failed.clone());
        tokio::spawn(async move {
            // Only the first failure matters; the others find the channel full or closed.
            let _ = failed.try_send(stopped.await);
        });
    }
    let mut reason = None;
    let stop = async {
        tokio::select! {
            () = signals.received() => {}
            failed = failure.recv() => reason = failed,
        }
        readiness.drain();
        // Still taking requests: whoever follows readiness has time to go elsewhere, and the next
        // leader is there before this one is gone.
        for region in front.regions() {
            region.node().hand_over().await;
        }
        tokio::time::sleep(DRAIN).await;
        stopping.send_replace(true);
    };
    listener.serve(front.clone(), stop, grace).await;
    match reason {
        Some(reason) => bail!("a node failed and must be restarted: {reason}"),
        None => Ok(()),
    }
}
