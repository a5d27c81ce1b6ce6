//! Who uses a key as long as it may, and tries a little longer.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use fastrand::Rng;
use keystead_api::{ErrorCode, Message, kms};
use tokio::sync::watch;

use super::clock::Clock;
use super::right::root;
use crate::checkers::race::{Told, Use};
use crate::kms::{Answer, Kms};
use crate::node::ACCOUNT;

/// What is tried after the acknowledgement, through each node.
const AFTER: usize = 2;
/// Milliseconds between two uses before it, at most.
const PAUSE: u64 = 12;

/// What says that there is no right.
const REFUSALS: [ErrorCode; 3] = [
    ErrorCode::AccessDeniedException,
    ErrorCode::DisabledException,
    ErrorCode::UnrecognizedClientException,
];

/// What a user changes with its right.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mutation {
    /// Lets somebody else use the key.
    CreateGrant,
    /// Changes a tag of the key.
    TagResource,
}

/// A user of a key, through one node.
pub(super) struct Worker<'a> {
    pub(super) node: usize,
    pub(super) client: &'a mut Kms,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    pub(super) key: &'a str,
    /// A ciphertext of the key; none until there is one.
    pub(super) sealed: Option<Bytes>,
    pub(super) mutation: Mutation,
    pub(super) seen: Seen,
}

/// What a user saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) uses: Vec<Use>,
    /// Errors that neither a fault nor the loss of a right explains, and how often they came.
    pub(super) unexpected: BTreeMap<String, usize>,
}

impl Worker<'_> {
    /// Uses the key until its revocation is acknowledged, and then some more.
    pub(super) async fn work(mut self, mut revoked: watch::Receiver<bool>) -> Seen {
        let mut left = AFTER;
        while left > 0 {
            let after = *revoked.borrow_and_update();
            self.step().await;
            if after {
                left -= 1;
                continue;
            }
            let pause = Duration::from_millis(self.rng.u64(..=PAUSE));
            // Whoever knows at once is the first to notice a node that does not know.
            let _ = tokio::time::timeout(pause, revoked.changed()).await;
        }
        self.seen
    }

    async fn step(&mut self) {
        match self.rng.u8(..10) {
            0..3 => self.encrypt().await,
            3..6 => self.decrypt().await,
            6..8 => self.generate_data_key().await,
            _ => self.mutate().await,
        }
    }

    /// Encrypts something, and keeps the ciphertext.
    pub(super) async fn encrypt(&mut self) {
        let input = kms::EncryptRequest {
            key_id: Some(self.key.to_owned()),
            plaintext: Some(Bytes::from_static(b"raced for")),
            ..Default::default()
        };
        let output = self.perform::<_, kms::EncryptResponse>("Encrypt", false, &input).await;
        self.sealed = output.and_then(|output| output.ciphertext_blob).or(self.sealed.take());
    }

    async fn decrypt(&mut self) {
        let input =
            kms::DecryptRequest { ciphertext_blob: self.sealed.clone(), ..Default::default() };
        self.perform::<_, kms::DecryptResponse>("Decrypt", false, &input).await;
    }

    async fn generate_data_key(&mut self) {
        let input = kms::GenerateDataKeyRequest {
            key_id: Some(self.key.to_owned()),
            number_of_bytes: Some(32),
            ..Default::default()
        };
        self.perform::<_, kms::GenerateDataKeyResponse>("GenerateDataKey", false, &input).await;
    }

    async fn mutate(&mut self) {
        match self.mutation {
            Mutation::CreateGrant => {
                let input = kms::CreateGrantRequest {
                    key_id: Some(self.key.to_owned()),
                    // Not to the user: the right would not be lost.
                    grantee_principal: Some(root(ACCOUNT)),
                    operations: vec![kms::GrantOperation::Encrypt.into()],
                    ..Default::default()
                };
                self.perform::<_, kms::CreateGrantResponse>("CreateGrant", true, &input).await;
            }
            Mutation::TagResource => {
                let (tag_key, tag_value) = (Some("node".into()), Some(self.node.to_string()));
                let key_id = Some(self.key.to_owned());
                let tags = vec![kms::Tag { tag_key, tag_value }];
                let input = kms::TagResourceRequest { key_id, tags };
                self.perform::<_, kms::TagResourceResponse>("TagResource", true, &input).await;
            }
        }
    }

    /// Sends a use once and writes down what came of it.
    async fn perform<I: Message, O: Message>(
        &mut self,
        operation: &'static str,
        mutation: bool,
        input: &I,
    ) -> Option<O> {
        let invocation = format!("{:032x}", self.rng.u128(..));
        let invoked = self.clock.now();
        let answer = self.client.call::<I, O>(input, &invocation).await;
        let (node, returned) = (self.node, self.clock.now());
        let (told, index, output) = self.meaning(operation, answer);
        self.seen.uses.push(Use { operation, mutation, node, invoked, returned, told, index });
        if told == Told::Nothing {
            // A node that is away is not asked all the time.
            tokio::time::sleep(Duration::from_millis(PAUSE)).await;
        }
        output
    }

    fn meaning<O>(
        &mut self,
        operation: &str,
        answer: Result<Answer<O>>,
    ) -> (Told, Option<u64>, Option<O>) {
        let Ok(Answer { result, index }) = answer else { return (Told::Nothing, None, None) };
        let refusal = match result {
            Ok(output) => return (Told::Done, index, Some(output)),
            Err(refusal) => refusal,
        };
        if REFUSALS.iter().any(|code| refusal.is(*code)) {
            return (Told::Refused, index, None);
        }
        if !refusal.passing {
            let what = format!("{operation}: {}", refusal.code);
            *self.seen.unexpected.entry(what).or_default() += 1;
        }
        (Told::Nothing, None, None)
    }
}

impl Seen {
    pub(super) fn add(&mut self, other: Self) {
        self.uses.extend(other.uses);
        for (what, times) in other.unexpected {
            *self.unexpected.entry(what).or_default() += times;
        }
    }
}
