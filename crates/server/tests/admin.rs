//! The admin socket, from both ends.
#![allow(clippy::unwrap_used)]

use std::future::pending;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keystead_server::admin::proto::Role;
use keystead_server::admin::{AdminClient, AdminClientError, AdminSocket, AdminSocketError};
use keystead_server::boot::{self, NewAccount, Place, Setup};
use keystead_server::process::MemorySeal;
use keystead_server::{AuditTrail, RegionServer};
use serde_json::Value;
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(AdminSocket::NAME);
    (folder, path)
}

async fn region(name: &str) -> Arc<RegionServer> {
    let (name, seal) = (name.parse().unwrap(), MemorySeal::generate().unwrap());
    let setup = Setup::alone(&name, &Place::Memory, &seal);
    Arc::new(setup.open_or_initialise().await.unwrap())
}

async fn serve(path: &Path, regions: Vec<Arc<RegionServer>>, audit: AuditTrail) {
    let socket = AdminSocket::bind(path).await.unwrap();
    tokio::spawn(socket.serve(regions, Arc::new(audit), pending()));
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn the_socket_is_for_its_owner_alone() {
    let (_folder, path) = folder();
    let _socket = AdminSocket::bind(&path).await.unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_extension("lock")), 0o600);
}

#[tokio::test]
async fn a_node_tells_how_its_regions_are() {
    let (_folder, path) = folder();
    let regions = vec![region("us-east-1").await, region("eu-west-1").await];
    let account = NewAccount {
        account: "000000000000".parse().unwrap(),
        access_key_id: "test".parse().unwrap(),
        secret: "test".to_owned().into(),
        service: None,
    };
    boot::ensure_account(&regions[0], &account).await.unwrap();
    serve(&path, regions.clone(), AuditTrail::standard_error()).await;

    let status = AdminClient::connect(&path).await.unwrap().status().await.unwrap();

    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    let names: Vec<_> = status.regions.iter().map(|region| region.name.as_str()).collect();
    assert_eq!(names, ["us-east-1", "eu-west-1"]);
    let (first, second) = (&status.regions[0], &status.regions[1]);
    assert_eq!(first.role(), Role::Leader);
    assert_eq!(first.leader.as_ref(), Some(&first.node_id));
    assert_eq!(first.node_id, regions[0].node().status().node_id.to_string());
    assert_eq!(first.applied, Some(regions[0].view().applied()));
    assert_ne!(first.cluster_id, second.cluster_id);
    assert_eq!((first.accounts, second.accounts), (1, 0));
    assert_eq!((first.keys, first.disk_full, &first.failure), (0, false, &None));
    assert_ne!((first.cluster_version, first.clock_ms), (0, 0));
}

#[tokio::test]
async fn every_call_is_audited_before_it_is_answered() {
    let (_folder, path) = folder();
    let trail = path.with_file_name("audit.json");
    serve(&path, Vec::new(), AuditTrail::file(&trail).unwrap()).await;
    let mut client = AdminClient::connect(&path).await.unwrap();
    assert_eq!(std::fs::read_to_string(&trail).unwrap(), "");

    client.status().await.unwrap();

    let line: Value = serde_json::from_str(&std::fs::read_to_string(&trail).unwrap()).unwrap();
    let own_user = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&path).unwrap());
    assert_eq!(line["userIdentity"]["principalId"], format!("operator:{own_user}"));
    assert_eq!(line["userIdentity"]["processId"], std::process::id());
    assert_eq!(line["eventName"], "Status");
}

#[tokio::test]
async fn a_call_that_cannot_be_audited_is_not_answered() {
    let (_folder, path) = folder();
    serve(&path, Vec::new(), AuditTrail::file(Path::new("/dev/full")).unwrap()).await;
    let refused = AdminClient::connect(&path).await.unwrap().status().await;
    assert!(matches!(refused, Err(AdminClientError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn an_abandoned_socket_is_replaced() {
    let (_folder, path) = folder();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());

    serve(&path, Vec::new(), AuditTrail::standard_error()).await;

    assert_eq!(mode(&path), 0o600);
    AdminClient::connect(&path).await.unwrap().status().await.unwrap();
}

#[tokio::test]
async fn a_second_process_is_refused_and_the_first_goes_on() {
    let (_folder, path) = folder();
    serve(&path, Vec::new(), AuditTrail::standard_error()).await;

    let second = AdminSocket::bind(&path).await;
    assert!(matches!(second, Err(AdminSocketError::Served(_))));

    // Nor does the lock's absence make a socket abandoned that somebody serves.
    std::fs::remove_file(path.with_extension("lock")).unwrap();
    let third = AdminSocket::bind(&path).await;
    assert!(matches!(third, Err(AdminSocketError::Served(_))));
    AdminClient::connect(&path).await.unwrap().status().await.unwrap();
}

#[tokio::test]
async fn what_is_no_socket_stays() {
    let (_folder, path) = folder();
    std::fs::write(&path, "somebody's notes").unwrap();
    let refused = AdminSocket::bind(&path).await;
    assert!(matches!(refused, Err(AdminSocketError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's notes");
}

#[tokio::test]
async fn a_stopped_server_leaves_no_socket_and_a_client_is_told() {
    let (_folder, path) = folder();
    let socket = AdminSocket::bind(&path).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let audit = Arc::new(AuditTrail::standard_error());
    let serving = tokio::spawn(socket.serve(Vec::new(), audit, async {
        let _ = stopped.await;
    }));
    // An idle connection does not keep the server from stopping.
    let mut idle = AdminClient::connect(&path).await.unwrap();
    idle.status().await.unwrap();

    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap();

    assert!(!path.exists());
    let nobody = AdminClient::connect(&path).await.unwrap_err();
    assert!(nobody.to_string().contains("no node answers on"), "{nobody}");
    assert!(matches!(idle.status().await, Err(AdminClientError::NoAnswer(_))));
    AdminSocket::bind(&path).await.unwrap();
}
