//! The process dies at every named point; what is left is compared with an oracle.
//!
//! The parent starts this test binary again as a child that carries out a workload and aborts at
//! the point that `KEYSTEAD_CRASH_AT` names. The child reports what was acknowledged. The parent
//! opens the folder and checks that everything acknowledged is there, that the state is exactly
//! what its commands lead to, and that the node goes on from there.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use common::{World, check_state, create_account, created_at, rows, soon};
use keystead_crypto::keyring::RootKey;
use keystead_crypto::seal::{FileSeal, Seal};
use keystead_raft::seams::Store;
use keystead_raft::{CRASH_POINTS, Format, Node, RocksStore, SnapshotStore, Timings};
use tempfile::TempDir;

const FOLDER: &str = "KEYSTEAD_TEST_FOLDER";
const CRASH_AT: &str = "KEYSTEAD_CRASH_AT";
const ROUNDS: u64 = 12;
const AT_ONCE: u64 = 4;
const SIGABRT: i32 = 6;

/// A data folder with its seal, as a process finds it.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn format(path: &Path) -> Self {
        let this = Self { path: path.to_owned() };
        let root = RootKey::generate().unwrap();
        let seal = FileSeal::create(&this.path.join("seal")).unwrap();
        let mut world = World::with_root(&root);
        let sealed = seal.wrap(&root, world.format.cluster_id).unwrap();
        world.format.sealed_roots = vec![sealed];
        let store = this.store();
        world.format.write(&*store).unwrap();
        store.close().unwrap();
        fs::write(this.path.join("domain"), &world.wrapped_domain_key).unwrap();
        this
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(RocksStore::open(&self.path.join("db")).unwrap())
    }

    /// Unseals with what stands in clear, then starts the node.
    async fn start(&self) -> (World, Node) {
        let store = self.store();
        let format = Format::read(&*store).unwrap().unwrap();
        let seal = FileSeal::open(&self.path.join("seal")).unwrap();
        let root = seal.unwrap(&format.sealed_roots[0], format.cluster_id).unwrap();
        let mut world = World::with_root(&root);
        world.format = format;
        world.wrapped_domain_key = fs::read(self.path.join("domain")).unwrap();
        world.timings = Timings { snapshot_every: 10, keep_entries: 3, ..world.timings };
        let snapshots = SnapshotStore::in_folder(&self.path.join("snapshots")).unwrap();
        let node = Node::start(world.options(store, snapshots)).await.unwrap();
        (world, node)
    }

    fn acknowledgements(&self) -> PathBuf {
        self.path.join("acknowledged")
    }

    /// What the child reported, account by account.
    fn acknowledged(&self) -> Vec<(u64, u64)> {
        let text = fs::read_to_string(self.acknowledgements()).unwrap_or_default();
        let pairs = text.lines().map(|line| {
            let (number, index) = line.split_once(' ').unwrap();
            (number.parse().unwrap(), index.parse().unwrap())
        });
        pairs.collect::<BTreeMap<u64, u64>>().into_iter().collect()
    }

    fn run_child(&self, crash_at: Option<&str>) -> ExitStatus {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "child", "--ignored", "--test-threads=1"]);
        child.env(FOLDER, &self.path).env_remove(CRASH_AT);
        if let Some(crash_at) = crash_at {
            child.env(CRASH_AT, crash_at);
        }
        let output = child.output().unwrap();
        let died = output.status.signal() == Some(SIGABRT);
        assert!(
            output.status.success() || died,
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output.status
    }

    /// Opens what the child left behind.
    async fn check(&self) {
        let acknowledged = self.acknowledged();
        let (world, node) = self.start().await;
        if acknowledged.is_empty() {
            // The child may have died before there was a cluster, or before it was a region.
            let _ = node.initialize().await;
            node.propose(world.initialise()).await.unwrap();
        }
        let view = node.barrier(soon()).await.unwrap();
        check_state(&world, &view, &acknowledged);
        assert_eq!(node.status().applied, Some(view.applied()));

        let (_, index) = node.propose(create_account(1_000_000)).await.unwrap();
        let view = node.barrier(soon()).await.unwrap();
        assert_eq!(created_at(&view, 1_000_000), Some(index));
        node.shutdown().await.unwrap();

        // What was read once is read again: recovery itself loses nothing.
        let (_, node) = self.start().await;
        assert_eq!(rows(&node.barrier(soon()).await.unwrap()), rows(&view));
        node.shutdown().await.unwrap();
    }
}

/// Not a test: the process that dies.
#[test]
#[ignore = "the child process of the other tests"]
fn child() {
    let Some(path) = std::env::var_os(FOLDER) else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(workload(&Folder { path: path.into() }));
}

async fn workload(folder: &Folder) {
    let (world, node) = folder.start().await;
    let node = Arc::new(node);
    // An earlier child may have died before, between or after these two.
    let _ = node.initialize().await;
    if !node.barrier(soon()).await.unwrap().is_initialised() {
        node.propose(world.initialise()).await.unwrap();
    }
    let mut report =
        fs::File::options().create(true).append(true).open(folder.acknowledgements()).unwrap();
    for round in 0..ROUNDS {
        let proposals: Vec<_> = (1..=AT_ONCE)
            .map(|n| round * AT_ONCE + n)
            .map(|number| {
                let node = Arc::clone(&node);
                let proposed = async move { node.propose(create_account(number)).await };
                (number, tokio::spawn(proposed))
            })
            .collect();
        for (number, proposal) in proposals {
            proposal.await.unwrap().unwrap();
            let index = created_at(&node.view(), number).unwrap();
            // One write call: the parent never sees half a line.
            report.write_all(format!("{number} {index}\n").as_bytes()).unwrap();
        }
    }
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_at_any_point() {
    for point in CRASH_POINTS.iter().filter(|point| !point.starts_with("install")) {
        for count in [1, 2, 3, 9] {
            let temporary = TempDir::new().unwrap();
            let folder = Folder::format(temporary.path());
            let status = folder.run_child(Some(&format!("{point}:{count}")));
            let died = status.signal() == Some(SIGABRT);
            // Everything happens at least once in a workload, most of it often.
            assert!(died || count > 1, "{point} was never reached");
            folder.check().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_dies_again_and_again_gets_there() {
    let temporary = TempDir::new().unwrap();
    let folder = Folder::format(temporary.path());
    let points = CRASH_POINTS.iter().filter(|point| !point.starts_with("install"));
    for (round, point) in points.enumerate() {
        folder.run_child(Some(&format!("{point}:{}", 2 + round % 5)));
    }
    assert!(folder.run_child(None).success());
    let (world, node) = folder.start().await;
    let acknowledged = folder.acknowledged();
    assert_eq!(acknowledged.len() as u64, ROUNDS * AT_ONCE);
    let view = node.barrier(soon()).await.unwrap();
    for (number, index) in acknowledged {
        assert_eq!(created_at(&view, number), Some(index), "{number}");
    }
    assert_eq!(view.cluster_id(), Some(world.format.cluster_id));
    node.shutdown().await.unwrap();
}

/// A node whose log and state are gone and whose snapshot is not installs it at start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_that_dies_is_carried_out_again() {
    let temporary = TempDir::new().unwrap();
    let made = Folder::format(temporary.path());
    assert!(made.run_child(None).success());
    // Set aside before the next start, which makes snapshots of its own in a new term: an emptied
    // node begins with the first term, and may not be older than its snapshot.
    let aside = TempDir::new().unwrap();
    copy_files(&made.path.join("snapshots"), aside.path());
    let snapshots = SnapshotStore::in_folder(aside.path()).unwrap();
    let (index, _) = snapshots.current_digest().unwrap();
    let (world, node) = made.start().await;
    node.shutdown().await.unwrap();

    for point in CRASH_POINTS.iter().filter(|point| point.starts_with("install")) {
        let temporary = TempDir::new().unwrap();
        let folder = Folder { path: temporary.path().to_owned() };
        for name in ["seal", "domain"] {
            fs::copy(made.path.join(name), folder.path.join(name)).unwrap();
        }
        copy_files(aside.path(), &folder.path.join("snapshots"));
        let store = folder.store();
        world.format.write(&*store).unwrap();
        store.close().unwrap();

        let died = folder.run_child(Some(&format!("{point}:1"))).signal() == Some(SIGABRT);
        assert!(died, "{point} was never reached");
        let (_, node) = folder.start().await;
        let view = node.barrier(soon()).await.unwrap();
        assert!(view.applied() >= index);
        let covered: Vec<_> =
            made.acknowledged().into_iter().filter(|(_, at)| *at <= index).collect();
        assert!(!covered.is_empty());
        check_state(&world, &view, &covered);
        node.shutdown().await.unwrap();
    }
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}
