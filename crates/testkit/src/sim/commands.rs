//! The region that is simulated, and commands whose place in the log its state tells.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use keystead_crypto::keyring::{DomainKey, Keyring, RootKey};
use keystead_raft::Timings;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{CreateAccount, DomainKeyRecord, Initialise, SealedRootRecord};
use keystead_state::{Command, View};
use keystead_types::{AccessKeyId, AccountId, ClusterId, Region};

/// Production's, except that snapshots are small and frequent.
pub(super) fn timings() -> Timings {
    Timings {
        snapshot_every: 40,
        snapshot_rows_per_entry: u64::MAX,
        keep_entries: 10,
        ..Timings::default()
    }
}

/// How long a node goes on with a proposal.
pub(super) const PROPOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// What all nodes of the region share.
pub(super) struct Cluster {
    pub(super) cluster_id: ClusterId,
    pub(super) region: Region,
    pub(super) keyring: Arc<Keyring>,
    wrapped_domain_key: Vec<u8>,
}

impl Cluster {
    pub(super) fn new() -> Result<Self> {
        let keyring = Keyring::new(&RootKey::generate()?)?;
        let wrapped_domain_key = keyring.wrap_domain_key(&DomainKey::generate(1)?)?;
        let region = "eu-central-1".parse()?;
        let keyring = Arc::new(keyring);
        Ok(Self { cluster_id: ClusterId::new([7; 16]), region, keyring, wrapped_domain_key })
    }

    /// The region's first command.
    pub(super) fn initialise(&self) -> Command {
        let domain_key = DomainKeyRecord {
            epoch: 1,
            wrapped: self.wrapped_domain_key.clone(),
            ..DomainKeyRecord::default()
        };
        let operation = Operation::Initialise(Initialise {
            cluster_id: self.cluster_id.bytes().to_vec(),
            region: self.region.to_string(),
            sealed_roots: vec![SealedRootRecord::default()],
            domain_key: Some(domain_key),
        });
        command(0, operation)
    }
}

/// Creates an account. The request id follows from the account, so that it is created once
/// however often this is proposed.
pub(super) fn create_account(number: u64) -> Command {
    let operation = Operation::CreateAccount(CreateAccount {
        account: number,
        access_key_id: access_key_of(number),
        sealed_secret: number.to_be_bytes().to_vec(),
        service: String::new(),
    });
    command(number, operation)
}

/// The log index at which an account was created, if it was.
pub(super) fn created_at(view: &View, number: u64) -> Option<u64> {
    view.account(AccountId::from_number(number)?)?;
    let id: AccessKeyId = access_key_of(number).parse().ok()?;
    view.credential(&id).map(|credential| credential.version)
}

fn access_key_of(number: u64) -> String {
    format!("AK{number}")
}

fn command(request: u64, operation: Operation) -> Command {
    let mut request_id = vec![0; 32];
    request_id[..8].copy_from_slice(&request.to_be_bytes());
    Command { request_id, version: 1, operation: Some(operation), ..Command::default() }
}
