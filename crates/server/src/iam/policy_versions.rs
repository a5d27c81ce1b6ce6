//! Versions of managed policies.

use keystead_api::iam;
use keystead_api::query::{Fault, encode_document, messages};
use keystead_state::PolicyVersion;
use keystead_state::proto::{self, outcome};

use super::call::Call;
use super::listing::{Listing, paged};
use super::{Change, Operation, Query, documents, entities, operation};
use crate::audit::Parameters;
use crate::propose;

operation!(
    CreatePolicyVersion: CreatePolicyVersionRequest => CreatePolicyVersionResponse,
    |this, call| call.on_policy(this.policy_arn())?
);
operation!(GetPolicyVersion: GetPolicyVersionRequest => GetPolicyVersionResponse, |this, call| {
    call.on_policy(this.policy_arn())?
});
operation!(
    ListPolicyVersions: ListPolicyVersionsRequest => ListPolicyVersionsResponse,
    |this, call| call.on_policy(this.policy_arn())?
);
operation!(
    SetDefaultPolicyVersion: SetDefaultPolicyVersionRequest => SetDefaultPolicyVersionResponse,
    |this, call| call.on_policy(this.policy_arn())?
);
operation!(
    DeletePolicyVersion: DeletePolicyVersionRequest => DeletePolicyVersionResponse,
    |this, call| call.on_policy(this.policy_arn())?
);

impl Change for iam::CreatePolicyVersionRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let policy = call.policy_ref(self.policy_arn())?;
        Ok(proto::CreatePolicyVersion {
            account: policy.account,
            policy: policy.name,
            document: documents::managed(self.policy_document())?,
            set_as_default: self.set_as_default(),
        }
        .into())
    }

    fn answer(&self, call: Call<'_>, outcome: &outcome::Result) -> Result<Self::Output, Fault> {
        let outcome::Result::PolicyVersionCreated(created) = outcome else {
            return Err(messages::internal());
        };
        let policy = call.policy(self.policy_arn())?;
        let version = policy.version(created.version).ok_or_else(|| {
            messages::policy_version_not_found(self.policy_arn(), format!("v{}", created.version))
        })?;
        Ok(Self::Output { policy_version: Some(entities::version(policy, version)) })
    }

    fn record_response(output: &Self::Output) -> Parameters {
        Parameters::of(output)
    }
}

impl Query for iam::GetPolicyVersionRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let policy = call.policy(self.policy_arn())?;
        let number = number(self.policy_arn(), self.version_id())?;
        let version = policy.version(number).ok_or_else(|| {
            messages::policy_version_not_found(self.policy_arn(), self.version_id())
        })?;
        let document = Some(encode_document(&version.policy.text));
        let shown = iam::PolicyVersion { document, ..entities::version(policy, version) };
        Ok(Self::Output { policy_version: Some(shown) })
    }
}

impl Query for iam::ListPolicyVersionsRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let policy = call.policy(self.policy_arn())?;
        let listing =
            Listing::new(call, Self::OPERATION, policy.id, self.marker.as_deref(), self.max_items);
        // The newest first, by texts that sort so.
        let place = |version: &&PolicyVersion| format!("{:010}", u32::MAX - version.number);
        let show = |version: &PolicyVersion| entities::version(policy, version);
        Ok(paged!(listing.short(policy.versions.iter(), place, show)?, versions))
    }
}

impl Change for iam::SetDefaultPolicyVersionRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let policy = call.policy_ref(self.policy_arn())?;
        let version = number(self.policy_arn(), self.version_id())?;
        let (account, policy) = (policy.account, policy.name);
        Ok(proto::SetDefaultPolicyVersion { account, policy, version }.into())
    }
}

impl Change for iam::DeletePolicyVersionRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let policy = call.policy_ref(self.policy_arn())?;
        let version = number(self.policy_arn(), self.version_id())?;
        let (account, policy) = (policy.account, policy.name);
        Ok(proto::DeletePolicyVersion { account, policy, version }.into())
    }
}

/// The number in an id such as `v2`.
fn number(arn: &str, id: &str) -> Result<u32, Fault> {
    let number = id.strip_prefix('v').and_then(|number| number.parse().ok());
    number.ok_or_else(|| messages::policy_version_not_found(arn, id))
}
