//! What is left in the end: every node is asked about every key and every ciphertext.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use fastrand::Rng;
use keystead_api::Wire;
use tokio::task::JoinHandle;

use super::caller::{Caller, Manner, Sealed, Seen};
use crate::cluster::{Cluster, NODES};
use crate::history::{KeyState, Kind, Operation, Told};

/// Clients of each node at a time.
const PARALLEL: usize = 8;
const MANNER: Manner = Manner {
    wire: Wire::Proto,
    patience: Duration::from_secs(10),
    persistence: Duration::from_secs(30),
};

/// What the nodes told.
#[derive(Default)]
pub(super) struct Reckoning {
    pub(super) seen: Seen,
    /// What each node told of each key before anything was changed.
    pub(super) last: Vec<Operation>,
    pub(super) keys: usize,
    /// Ciphertexts that opened, on all nodes together.
    pub(super) opened: usize,
    pub(super) violations: Vec<String>,
}

/// Where the clients of the reckoning come from.
pub(super) struct Reckoner<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) began: Instant,
    /// The number of the next client.
    pub(super) next: usize,
}

type Keys = BTreeSet<Arc<str>>;

impl Reckoner<'_> {
    /// Lists and describes all keys on all nodes, enables them, and opens all ciphertexts on all
    /// nodes.
    ///
    /// # Errors
    /// A client panicked.
    pub(super) async fn reckon(mut self, before: &Seen) -> Result<Reckoning> {
        let mut reckoning = Reckoning::default();
        let made = before.history.iter().filter(|operation| operation.kind == Kind::Create);
        let made = made.filter(|operation| operation.told == Told::Done);
        let acknowledged: Keys = made.map(|operation| operation.key.clone()).collect();

        let all = self.list(&acknowledged, &mut reckoning).await;
        self.describe(&all, &acknowledged, &mut reckoning).await?;
        let disabled = |last: &&Operation| last.told == Told::State(KeyState::Disabled);
        let disabled = reckoning.last.iter().filter(disabled);
        let disabled: Keys = disabled.map(|last| last.key.clone()).collect();
        self.enable(disabled, &mut reckoning).await?;
        self.open(&before.sealed, &mut reckoning).await?;
        reckoning.keys = all.len();
        Ok(reckoning)
    }

    /// All keys that any node lists. Each must list all that were acknowledged, and the same.
    async fn list(&mut self, acknowledged: &Keys, reckoning: &mut Reckoning) -> Keys {
        let mut lists = Vec::<Keys>::new();
        for node in 0..NODES {
            let mut caller = self.caller([node]);
            let listed = caller.list().await;
            reckoning.seen.add(caller.seen);
            let Some(listed) = listed else {
                reckoning.violations.push(format!("node {node} does not list its keys"));
                continue;
            };
            let listed = listed.into_iter().collect();
            for lost in acknowledged.difference(&listed) {
                reckoning.violations.push(format!("node {node} does not list {lost}"));
            }
            lists.push(listed);
        }
        if lists.iter().any(|list| *list != lists[0]) {
            reckoning.violations.push("the nodes list different keys".into());
        }
        lists.into_iter().flatten().collect()
    }

    /// Asks each node about each key. No two keys have one description. What is told about a key
    /// whose making was not acknowledged is no part of the history.
    async fn describe(
        &mut self,
        keys: &Keys,
        acknowledged: &Keys,
        reckoning: &mut Reckoning,
    ) -> Result<()> {
        let keys: Vec<_> = keys.iter().cloned().collect();
        let mut tasks = Vec::new();
        for (node, part) in parts(&keys) {
            let mut caller = self.caller([node]);
            tasks.push(tokio::spawn(async move {
                let mut descriptions = Vec::new();
                for key in part {
                    let description = caller.must_describe(&key).await;
                    descriptions.extend(description.map(|description| (description, key)));
                }
                (caller.seen, descriptions)
            }));
        }
        let mut made = BTreeMap::<String, Keys>::new();
        for (mut seen, descriptions) in join(tasks).await? {
            seen.history.retain(|operation| acknowledged.contains(&operation.key));
            reckoning.last.extend(seen.history.iter().cloned());
            reckoning.seen.add(seen);
            for (description, key) in descriptions {
                made.entry(description).or_default().insert(key);
            }
        }
        for (description, keys) in made.iter().filter(|(_, keys)| keys.len() > 1) {
            let text = format!("{description:?} was made {} times: {keys:?}", keys.len());
            reckoning.violations.push(text);
        }
        Ok(())
    }

    async fn enable(&mut self, keys: Keys, reckoning: &mut Reckoning) -> Result<()> {
        let keys: Vec<_> = keys.into_iter().collect();
        let mut tasks = Vec::new();
        for part in keys.chunks(keys.len().div_ceil(PARALLEL).max(1)) {
            let (mut caller, part) = (self.caller(0..NODES), part.to_vec());
            tasks.push(tokio::spawn(async move {
                let mut failed = Vec::new();
                for key in part {
                    if !caller.enable(&key).await {
                        failed.push(format!("{key} cannot be enabled in the end"));
                    }
                }
                (caller.seen, failed)
            }));
        }
        for (seen, failed) in join(tasks).await? {
            reckoning.seen.add(seen);
            reckoning.violations.extend(failed);
        }
        Ok(())
    }

    async fn open(&mut self, sealed: &[Arc<Sealed>], reckoning: &mut Reckoning) -> Result<()> {
        let mut tasks = Vec::new();
        for (node, part) in parts(sealed) {
            let mut caller = self.caller([node]);
            tasks.push(tokio::spawn(async move {
                let (mut opened, mut failed) = (0, Vec::new());
                for sealed in part {
                    if caller.must_decrypt(&sealed).await {
                        opened += 1;
                    } else {
                        let key = &sealed.key;
                        failed.push(format!("node {node} does not open a ciphertext of {key}"));
                    }
                }
                (caller.seen, (opened, failed))
            }));
        }
        for (seen, (opened, failed)) in join(tasks).await? {
            reckoning.seen.add(seen);
            reckoning.opened += opened;
            reckoning.violations.extend(failed);
        }
        Ok(())
    }

    fn caller(&mut self, nodes: impl IntoIterator<Item = usize>) -> Caller {
        let number = self.next;
        self.next += 1;
        let rng = Rng::with_seed(number as u64);
        Caller::new(self.cluster, nodes, number, MANNER, self.began, rng)
    }
}

/// All items for each node, in as many parts as the node has clients.
fn parts<T: Clone>(items: &[T]) -> impl Iterator<Item = (usize, Vec<T>)> {
    let size = items.len().div_ceil(PARALLEL).max(1);
    (0..NODES).flat_map(move |node| items.chunks(size).map(move |part| (node, part.to_vec())))
}

async fn join<T>(tasks: Vec<JoinHandle<T>>) -> Result<Vec<T>> {
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await?);
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_gets_every_item() {
        for count in [0, 1, 7, 8, 9, 100] {
            let items: Vec<_> = (0..count).collect();
            for node in 0..NODES {
                let got = parts(&items).filter(|(of, _)| *of == node).flat_map(|(_, part)| part);
                assert_eq!(got.collect::<Vec<_>>(), items);
            }
        }
    }
}
