//! Running a front until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use keystead_server::{Front, Listener, OperationsPort, RegionServer, metrics};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

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
    regions: Vec<Arc<RegionServer>>,
) -> Result<(Arc<OperationsPort>, SocketAddr)> {
    let listener = match TcpListener::bind(address).await {
        Err(error) if any_port && error.kind() == std::io::ErrorKind::AddrInUse => {
            TcpListener::bind((address.ip(), 0)).await
        }
        bound => bound,
    };
    let listener = listener.with_context(|| format!("listen on {address} for operations"))?;
    let address = listener.local_addr()?;
    let port = Arc::new(OperationsPort::new(regions, metrics::install().ok()));
    tokio::spawn(port.clone().serve(listener));
    Ok((port, address))
}

/// Serves until SIGTERM or SIGINT, or until a node fails for good.
pub async fn until_stopped(
    listener: Listener,
    front: Arc<Front>,
    operations: Arc<OperationsPort>,
    grace: Duration,
) -> Result<()> {
    for region in front.regions() {
        let region = region.clone();
        tokio::spawn(async move { region.run_due_work().await });
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
            result = terminated() => if let Err(error) = result {
                tracing::error!(%error, "signals cannot be received; stopping");
            },
            failed = failure.recv() => reason = failed,
        }
        operations.drain();
    };
    listener.serve(front.clone(), stop, grace).await;
    for region in front.regions() {
        region.node().shutdown().await.with_context(|| format!("stop {}", region.name()))?;
    }
    match reason {
        Some(reason) => bail!("a node failed and must be restarted: {reason}"),
        None => Ok(()),
    }
}

async fn terminated() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
