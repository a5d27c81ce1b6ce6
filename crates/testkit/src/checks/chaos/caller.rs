//! A client that writes down what it does and what it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fastrand::Rng;
use keystead_api::{ErrorCode, Message, Wire, kms};

use crate::cluster::Cluster;
use crate::history::{KeyState, Kind, Operation, Told};
use crate::kms::{Answer, Kms, Refusal};

/// What is waited between two attempts of one call, at most.
const PAUSE: u64 = 100;

/// A client of some nodes, of which each attempt goes to any.
pub(super) struct Caller {
    number: usize,
    rng: Rng,
    began: Instant,
    nodes: Vec<(usize, Kms)>,
    persistence: Duration,
    pub(super) seen: Seen,
}

/// How a client behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) wire: Wire,
    /// How long it waits for one reply.
    pub(super) patience: Duration,
    /// How long it goes on trying what has to be certain.
    pub(super) persistence: Duration,
}

/// What one or all clients did and saw.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) history: Vec<Operation>,
    /// Every ciphertext that was acknowledged.
    pub(super) sealed: Vec<Arc<Sealed>>,
    /// Errors that no fault and no state of a key explains, and how often they came.
    pub(super) unexpected: BTreeMap<String, usize>,
}

/// A ciphertext and what it must open to.
pub(super) struct Sealed {
    pub(super) key: Arc<str>,
    pub(super) blob: Bytes,
    pub(super) plaintext: Bytes,
}

impl Seen {
    pub(super) fn add(&mut self, other: Self) {
        self.history.extend(other.history);
        self.sealed.extend(other.sealed);
        for (what, times) in other.unexpected {
            *self.unexpected.entry(what).or_default() += times;
        }
    }
}

impl Caller {
    /// A client with a number of its own, of these nodes; all clients count time from `began`.
    pub(super) fn new(
        cluster: &Cluster,
        nodes: impl IntoIterator<Item = usize>,
        number: usize,
        manner: Manner,
        began: Instant,
        rng: Rng,
    ) -> Self {
        let Manner { wire, patience, persistence } = manner;
        let client = |node| (node, Kms::new(cluster.target(node, wire), wire, patience));
        let nodes = nodes.into_iter().map(client).collect();
        Self { number, rng, began, nodes, persistence, seen: Seen::default() }
    }

    pub(super) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Makes a key; what comes back is its id.
    pub(super) async fn create(&mut self, description: &str) -> Option<Arc<str>> {
        let input = kms::CreateKeyRequest {
            description: Some(description.to_owned()),
            ..Default::default()
        };
        let (mut operation, output) = self
            .persist::<_, kms::CreateKeyResponse>(Kind::Create, &description.into(), &input)
            .await;
        let id = output.and_then(|output| Some(Arc::from(output.key_metadata?.key_id?)));
        if let Some(id) = &id {
            operation.key = Arc::clone(id);
        }
        self.seen.history.push(operation);
        id
    }

    /// Enables a key and says whether that is certain.
    pub(super) async fn enable(&mut self, key: &Arc<str>) -> bool {
        let input = kms::EnableKeyRequest { key_id: Some(key.to_string()) };
        let (operation, output) =
            self.persist::<_, kms::EnableKeyResponse>(Kind::Enable, key, &input).await;
        self.seen.history.push(operation);
        output.is_some()
    }

    /// Disables a key and says whether that is certain.
    pub(super) async fn disable(&mut self, key: &Arc<str>) -> bool {
        let input = kms::DisableKeyRequest { key_id: Some(key.to_string()) };
        let (operation, output) =
            self.persist::<_, kms::DisableKeyResponse>(Kind::Disable, key, &input).await;
        self.seen.history.push(operation);
        output.is_some()
    }

    /// Encrypts something random.
    pub(super) async fn encrypt(&mut self, key: &Arc<str>) -> Option<Arc<Sealed>> {
        let plaintext: Bytes = (0..32).map(|_| self.rng.u8(..)).collect();
        let input = kms::EncryptRequest {
            key_id: Some(key.to_string()),
            plaintext: Some(plaintext.clone()),
            ..Default::default()
        };
        let (operation, output) =
            self.attempt::<_, kms::EncryptResponse>(Kind::Encrypt, key, &input).await;
        self.seen.history.push(operation);
        let blob = output?.ciphertext_blob?;
        let sealed = Arc::new(Sealed { key: key.clone(), blob, plaintext });
        self.seen.sealed.push(sealed.clone());
        Some(sealed)
    }

    /// Opens a ciphertext, once.
    pub(super) async fn decrypt(&mut self, sealed: &Sealed) {
        let input = Self::opening(sealed);
        let (operation, output) = self.attempt(Kind::Decrypt, &sealed.key, &input).await;
        self.opened(operation, output, sealed);
    }

    /// Opens a ciphertext, which has to succeed, and says whether it did.
    pub(super) async fn must_decrypt(&mut self, sealed: &Sealed) -> bool {
        let input = Self::opening(sealed);
        let (operation, output) = self.persist(Kind::Decrypt, &sealed.key, &input).await;
        self.opened(operation, output, sealed)
    }

    fn opening(sealed: &Sealed) -> kms::DecryptRequest {
        kms::DecryptRequest { ciphertext_blob: Some(sealed.blob.clone()), ..Default::default() }
    }

    fn opened(
        &mut self,
        operation: Operation,
        output: Option<kms::DecryptResponse>,
        sealed: &Sealed,
    ) -> bool {
        self.seen.history.push(operation);
        let Some(output) = output else { return false };
        let same = output.plaintext.as_ref() == Some(&sealed.plaintext);
        if !same {
            self.note("Decrypt: opened to something else");
        }
        same
    }

    /// Asks for a key's state, once.
    pub(super) async fn describe(&mut self, key: &Arc<str>) {
        let input = Self::question(key);
        let (operation, output) = self.attempt(Kind::Describe, key, &input).await;
        self.described(operation, output);
    }

    /// Asks for a key's state until it is told, and returns its description.
    pub(super) async fn must_describe(&mut self, key: &Arc<str>) -> Option<String> {
        let input = Self::question(key);
        let (operation, output) = self.persist(Kind::Describe, key, &input).await;
        self.described(operation, output)?.description
    }

    fn question(key: &Arc<str>) -> kms::DescribeKeyRequest {
        kms::DescribeKeyRequest { key_id: Some(key.to_string()), ..Default::default() }
    }

    fn described(
        &mut self,
        mut operation: Operation,
        output: Option<kms::DescribeKeyResponse>,
    ) -> Option<kms::KeyMetadata> {
        let metadata = output.and_then(|output| output.key_metadata);
        match metadata.as_ref().map(kms::KeyMetadata::key_state) {
            Some(kms::KeyState::Enabled) => operation.told = Told::State(KeyState::Enabled),
            Some(kms::KeyState::Disabled) => operation.told = Told::State(KeyState::Disabled),
            Some(other) => self.note(&format!("Describe: {other:?}")),
            None if operation.told == Told::Done => self.note("Describe: no metadata"),
            None => {}
        }
        self.seen.history.push(operation);
        metadata
    }

    /// All keys of the account, as one node lists them; none if it does not.
    pub(super) async fn list(&mut self) -> Option<Vec<Arc<str>>> {
        let mut keys = Vec::new();
        let mut input = kms::ListKeysRequest { limit: Some(1000), ..Default::default() };
        loop {
            let (_, output) = self
                .persist::<_, kms::ListKeysResponse>(Kind::Describe, &"all keys".into(), &input)
                .await;
            let output = output?;
            keys.extend(output.keys.into_iter().filter_map(|key| key.key_id).map(Arc::from));
            input.marker = output.next_marker;
            if input.marker.is_none() {
                return Some(keys);
            }
        }
    }

    async fn attempt<I: Message, O: Message>(
        &mut self,
        kind: Kind,
        key: &Arc<str>,
        input: &I,
    ) -> (Operation, Option<O>) {
        self.perform(kind, key, input, Duration::ZERO).await
    }

    /// Repeats a call, as SDKs do, until there is a reply that says what came of it.
    async fn persist<I: Message, O: Message>(
        &mut self,
        kind: Kind,
        key: &Arc<str>,
        input: &I,
    ) -> (Operation, Option<O>) {
        self.perform(kind, key, input, self.persistence).await
    }

    async fn perform<I: Message, O: Message>(
        &mut self,
        kind: Kind,
        key: &Arc<str>,
        input: &I,
        persistence: Duration,
    ) -> (Operation, Option<O>) {
        let invocation = format!("{:032x}", self.rng.u128(..));
        let (start, invoked) = (Instant::now(), self.now());
        let mut attempts = 0;
        let (node, told, index, output) = loop {
            attempts += 1;
            let at = self.rng.usize(..self.nodes.len());
            let (node, client) = &mut self.nodes[at];
            let node = *node;
            match client.call(input, &invocation).await {
                Ok(Answer { result: Ok(output), index }) => {
                    break (node, Told::Done, index, Some(output));
                }
                Ok(Answer { result: Err(refusal), index }) if !refusal.passing => {
                    break (node, self.meaning(kind, &refusal), index, None);
                }
                Ok(_) | Err(_) if start.elapsed() >= persistence => {
                    break (node, Told::Nothing, None, None);
                }
                Ok(_) | Err(_) => {
                    let pause = Duration::from_millis(self.rng.u64(..PAUSE));
                    tokio::time::sleep(pause).await;
                }
            }
        };
        let (client, returned, key) = (self.number, self.now(), key.clone());
        let operation =
            Operation { client, node, kind, key, invoked, returned, told, index, attempts };
        (operation, output)
    }

    /// What an error says about a key.
    fn meaning(&mut self, kind: Kind, refusal: &Refusal) -> Told {
        if refusal.is(ErrorCode::NotFoundException) {
            Told::State(KeyState::Absent)
        } else if kind.is_use() && refusal.is(ErrorCode::DisabledException) {
            Told::State(KeyState::Disabled)
        } else {
            self.note(&format!("{kind:?}: {}", refusal.code));
            Told::Nothing
        }
    }

    fn note(&mut self, unexpected: &str) {
        *self.seen.unexpected.entry(unexpected.to_owned()).or_default() += 1;
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
