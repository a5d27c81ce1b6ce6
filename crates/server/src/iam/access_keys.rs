//! Access keys of users and of the roots of accounts.

use keystead_api::iam;
use keystead_api::query::{Fault, messages};
use keystead_state::proto::{self, outcome};
use keystead_state::{Credential, User};
use keystead_types::AccessKeyId;

use super::call::Call;
use super::entities::time;
use super::listing::{Listing, paged};
use super::{Change, Operation, Query, operation};
use crate::access_key;
use crate::audit::Parameters;
use crate::propose;

operation!(CreateAccessKey: CreateAccessKeyRequest => CreateAccessKeyResponse, |this, call| {
    call.on_user_or_self(this.user_name.as_deref())
});
operation!(ListAccessKeys: ListAccessKeysRequest => ListAccessKeysResponse, |this, call| {
    call.on_user_or_self(this.user_name.as_deref())
});
operation!(UpdateAccessKey: UpdateAccessKeyRequest => UpdateAccessKeyResponse, |this, call| {
    call.on_user_or_self(this.user_name.as_deref())
});
operation!(DeleteAccessKey: DeleteAccessKeyRequest => DeleteAccessKeyResponse, |this, call| {
    call.on_user_or_self(this.user_name.as_deref())
});
// On nothing in particular: whose key it is, is what is asked.
operation!(
    GetAccessKeyLastUsed: GetAccessKeyLastUsedRequest => GetAccessKeyLastUsedResponse,
    |_this, call| call.on_anything()
);

impl Change for iam::CreateAccessKeyRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let (id, secret) = access_key::generate().map_err(|_| messages::internal())?;
        Ok(proto::CreateAccessKey {
            account: call.account().number(),
            user: call.owner_name(self.user_name.as_deref())?,
            sealed_secret: call.region.seal_secret(id.as_str(), &secret)?,
            access_key_id: id.to_string(),
        }
        .into())
    }

    /// From the state: a request that was sent twice gets the key that the first one made.
    fn answer(&self, call: Call<'_>, outcome: &outcome::Result) -> Result<Self::Output, Fault> {
        let outcome::Result::AccessKeyCreated(created) = outcome else {
            return Err(messages::internal());
        };
        let gone = || messages::access_key_not_found(&created.access_key_id);
        let id: AccessKeyId = created.access_key_id.parse().map_err(|_| messages::internal())?;
        let credential = call.view.credential(&id).ok_or_else(gone)?;
        let secret = call.region.secret(credential)?;
        let secret = std::str::from_utf8(&secret).map_err(|_| messages::internal())?;
        let access_key = iam::AccessKey {
            user_name: owner(call, credential).map(|user| user.name.to_string()),
            access_key_id: Some(credential.id.to_string()),
            status: Some(status(credential).into()),
            secret_access_key: Some(secret.to_owned()),
            create_date: time(credential.created),
        };
        Ok(Self::Output { access_key: Some(access_key) })
    }

    fn record_response(output: &Self::Output) -> Parameters {
        let key = output.access_key.as_ref().map(|key| iam::AccessKeyMetadata {
            user_name: key.user_name.clone(),
            access_key_id: key.access_key_id.clone(),
            status: key.status,
            create_date: key.create_date,
        });
        Parameters::new().message("accessKey", key.as_ref())
    }
}

impl Query for iam::ListAccessKeysRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let user = call.user_or_self(self.user_name.as_deref())?;
        let whose = user.map_or_else(|| call.account().to_string(), |user| user.id.to_string());
        let listing =
            Listing::new(call, Self::OPERATION, whose, self.marker.as_deref(), self.max_items);
        let keys = call.view.access_keys_of(call.account(), user.map(|user| &user.id));
        let show = |key: &std::sync::Arc<Credential>| iam::AccessKeyMetadata {
            user_name: user.map(|user| user.name.to_string()),
            access_key_id: Some(key.id.to_string()),
            status: Some(status(key).into()),
            create_date: time(key.created),
        };
        Ok(paged!(listing.short(keys, |key| key.id.to_string(), show)?, access_key_metadata))
    }
}

impl Change for iam::UpdateAccessKeyRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let active = match self.status() {
            iam::StatusType::Active => true,
            iam::StatusType::Inactive => false,
            _ => return Err(messages::invalid_status(self.status().as_text())),
        };
        let (account, user, access_key_id) = named(call, &self.user_name, self.access_key_id())?;
        Ok(proto::UpdateAccessKey { account, user, access_key_id, active }.into())
    }
}

impl Change for iam::DeleteAccessKeyRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let (account, user, access_key_id) = named(call, &self.user_name, self.access_key_id())?;
        Ok(proto::DeleteAccessKey { account, user, access_key_id }.into())
    }
}

impl Query for iam::GetAccessKeyLastUsedRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let id = self.access_key_id();
        let credential = id.parse().ok().and_then(|id| call.view.credential(&id));
        let credential = credential
            .filter(|credential| credential.account == call.account())
            .ok_or_else(|| messages::access_key_not_found(id))?;
        // It is not kept.
        let unknown = Some("N/A".to_owned());
        Ok(Self::Output {
            user_name: owner(call, credential).map(|user| user.name.to_string()),
            access_key_last_used: Some(iam::AccessKeyLastUsed {
                last_used_date: None,
                service_name: unknown.clone(),
                region: unknown,
            }),
        })
    }
}

fn owner<'v>(call: Call<'v>, credential: &Credential) -> Option<&'v User> {
    call.view.user(credential.user.as_ref()?).map(|user| &**user)
}

fn status(credential: &Credential) -> iam::StatusType {
    if credential.active { iam::StatusType::Active } else { iam::StatusType::Inactive }
}

/// An access key of a user or the caller, as commands name it.
fn named(call: Call<'_>, user: &Option<String>, id: &str) -> Result<(u64, String, String), Fault> {
    let id: AccessKeyId = id.parse().map_err(|_| messages::access_key_not_found(id))?;
    Ok((call.account().number(), call.owner_name(user.as_deref())?, id.to_string()))
}
