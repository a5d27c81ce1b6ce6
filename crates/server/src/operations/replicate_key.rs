//! ReplicateKey: a related key of a multi-Region primary key in another Region.

use std::time::Duration;

use keystead_api::{Error, kms, messages};
use keystead_state::proto::{self, outcome};
use keystead_state::{Key, MultiRegion, Replica, Revision};
use keystead_types::{KeyState, Region};
use tokio::time::Instant;

use super::{Operation, StateRule, metadata, put_key_policy, tags};
use crate::audit::Parameters;
use crate::conditions::KeyFacts;
use crate::pipeline::{Call, Failure};
use crate::propose;
use crate::resolve::{Resource, Target};

/// For so long the caller waits for the other Region to say that it cannot have the replica.
const REFUSAL: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

pub(crate) struct ReplicateKey;

impl Operation for ReplicateKey {
    type Input = kms::ReplicateKeyRequest;
    type Output = kms::ReplicateKeyResponse;

    const NAME: &'static str = "ReplicateKey";
    const READ_ONLY: bool = false;
    const STATES: StateRule = StateRule::Rotatable;

    /// Whether the caller may have the new key is decided here, as if it were made in this Region.
    fn targets(input: &Self::Input) -> Result<Vec<Target<'_>>, Error> {
        let described = |action| {
            let bypass = input.bypass_policy_lockout_safety_check;
            Target::account(action)
                .fact("kms:ReplicaRegion", input.replica_region())
                .flag("kms:BypassPolicyLockoutSafetyCheck", bypass)
                .tags(&input.tags)
        };
        let mut targets = vec![
            Target::id_or_arn(input.key_id(), "kms:ReplicateKey")
                .fact("kms:ReplicaRegion", input.replica_region()),
            described("kms:CreateKey"),
        ];
        if !input.tags.is_empty() {
            targets.push(described("kms:TagResource"));
        }
        Ok(targets)
    }

    fn relate(resources: &mut [Resource<'_>]) {
        let Some(key) = resources.iter().find_map(Resource::key).cloned() else { return };
        for resource in resources.iter_mut().filter(|resource| resource.key().is_none()) {
            let facts = &mut resource.facts;
            for name in ["kms:KeySpec", "kms:CustomerMasterKeySpec"] {
                facts.add(name, key.spec.as_str());
            }
            for name in ["kms:KeyUsage", "kms:CustomerMasterKeyUsage"] {
                facts.add(name, key.usage.as_str());
            }
            facts.add("kms:KeyOrigin", key.origin.as_str());
            facts.add_flag("kms:MultiRegion", Some(true));
            facts.add("kms:MultiRegionKeyType", "REPLICA");
        }
    }

    fn check(call: &Call<'_>, input: &Self::Input) -> Result<(), Error> {
        if let Some(given) = &input.policy {
            put_key_policy::check_document(call, given)?;
        }
        tags::to_map(call, &input.tags).map(|_| ())
    }

    fn suits(call: &Call<'_>, _: &Self::Input) -> Result<(), Error> {
        let key = call.key(0)?;
        let is_primary = key.as_primary().is_some();
        if is_primary { Ok(()) } else { Err(messages::not_primary(call.key_arn(key))) }
    }

    async fn execute(call: &Call<'_>, input: &Self::Input) -> Result<Self::Output, Failure> {
        let key = call.key(0)?;
        let checked = input.policy.is_some() && !input.bypass_policy_lockout_safety_check();
        let command = proto::ReplicateKey {
            key: propose::key_ref(key),
            region: input.replica_region().to_owned(),
            description: input.description().to_owned(),
            policy: policy(key, input),
            tags: tags::to_map(call, &input.tags)?,
            lockout_check: checked.then(|| call.next_policy(&KeyFacts::from(&**key), key.account)),
        };
        propose::done(call, command).await?;
        hear_refusal(call, input).await?;
        Ok(reply(call, input)?)
    }

    fn again(
        call: &Call<'_>,
        input: &Self::Input,
        first: &outcome::Result,
    ) -> Option<Self::Output> {
        matches!(first, outcome::Result::Done(_)).then(|| reply(call, input).ok()).flatten()
    }

    fn record(input: &Self::Input) -> Parameters {
        Parameters::new()
            .text("keyId", &input.key_id)
            .text("replicaRegion", &input.replica_region)
            .text("policy", &input.policy)
            .flag(
                "bypassPolicyLockoutSafetyCheck",
                Some(input.bypass_policy_lockout_safety_check()),
            )
            .text("description", &input.description)
            .list("tags", tags::record(&input.tags))
    }

    fn record_response(_: &Call<'_>, output: &Self::Output) -> Parameters {
        Parameters::new()
            .message("replicaKeyMetadata", output.replica_key_metadata.as_ref())
            .text("replicaPolicy", &output.replica_policy)
    }
}

fn policy(key: &Key, input: &kms::ReplicateKeyRequest) -> String {
    let given = input.policy.clone();
    given.unwrap_or_else(|| keystead_policy::default_key_policy(key.account))
}

/// Waits until the other Region can use the replica or refuses it, though not for long: it may be out
/// of reach, and gets its replica later then.
async fn hear_refusal(call: &Call<'_>, input: &kms::ReplicateKeyRequest) -> Result<(), Error> {
    let id = call.key(0)?.id;
    let until = Instant::now() + REFUSAL;
    while Instant::now() < until {
        let view = call.region.view();
        let relatives = view.key(&id).and_then(|key| key.multi_region.as_deref());
        let replica = relatives.and_then(|relatives| {
            let mut replicas = relatives.replicas.iter();
            replicas.find(|replica| replica.region.as_str() == input.replica_region())
        });
        match replica {
            Some(replica) if replica.is_creating() => tokio::time::sleep(LOOK).await,
            Some(_) => return Ok(()),
            None => return Err(messages::replica_refused(input.replica_region())),
        }
    }
    Ok(())
}

/// The replica as it is at first.
fn reply(
    call: &Call<'_>,
    input: &kms::ReplicateKeyRequest,
) -> Result<kms::ReplicateKeyResponse, Error> {
    let primary = call.key(0)?;
    let region: Region = input.replica_region().parse().map_err(|_| messages::internal())?;
    let relatives = primary.as_primary().ok_or_else(messages::internal)?;
    let mut replicas = relatives.replicas.clone();
    if relatives.replica(&region).is_none() {
        let since = Revision::default();
        replicas.push(Replica { region: region.clone(), since, holds: None });
    }
    let since = Some(Revision::default());
    let replica = Key {
        state: KeyState::Creating,
        description: input.description().into(),
        created: call.now(),
        current_material: None,
        materials: Box::default(),
        deletion: None,
        multi_region: Some(Box::new(MultiRegion { replicas, since, ..relatives.clone() })),
        ..Key::clone(primary)
    };
    Ok(kms::ReplicateKeyResponse {
        replica_key_metadata: Some(metadata::key_metadata(&replica, &region)),
        replica_policy: Some(policy(primary, input)),
        replica_tags: input.tags.clone(),
    })
}
