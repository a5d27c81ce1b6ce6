//! Services and their access keys.
//!
//! A service is an account of its own, in which nobody else is; its access keys are those of the
//! account's root.

use keystead_state::proto::{self as state, command};
use keystead_state::{Account, View};
use keystead_types::{AccessKeyId, ServiceName};
use tonic::Status;
use zeroize::Zeroizing;

use super::proto;
use super::service::refused;
use crate::access_key;
use crate::boot::{self, NewAccount};
use crate::region::RegionServer;
use crate::sessions::CERTIFICATES;

/// Registers a service.
pub(super) async fn add(region: &RegionServer, name: &str) -> Result<proto::ServiceKey, Status> {
    let name = service(name)?;
    // Trust policies let certificates in by this name, and nobody else shall pass for them.
    if name.as_str() == CERTIFICATES {
        let why = format!("{name} stands for the certificates of gRPC callers");
        return Err(Status::invalid_argument(why));
    }
    if region.view().service(&name).is_some() {
        return Err(Status::already_exists(format!("service {name} exists already")));
    }
    let new = NewAccount::of_service(name).map_err(refused)?;
    boot::ensure_account(region, &new).await.map_err(refused)?;
    Ok(shown(&new.access_key_id, &new.secret))
}

/// All services, by account.
pub(super) fn list(view: &View) -> proto::ListServicesResponse {
    let services = view.accounts().filter_map(|account| {
        let keys = view.access_keys_of(account.id, None);
        Some(proto::Service {
            name: account.service.as_ref()?.to_string(),
            account: account.id.to_string(),
            created_ms: account.created.0,
            suspended: account.suspended,
            access_key_ids: keys.map(|key| key.id.to_string()).collect(),
        })
    });
    proto::ListServicesResponse { services: services.collect() }
}

/// Refuses a service, or takes it again.
pub(super) async fn suspend(
    region: &RegionServer,
    name: &str,
    suspended: bool,
) -> Result<(), Status> {
    let account = account(&region.view(), name)?.id;
    boot::suspend_account(region, account, suspended).await.map_err(refused)
}

/// Gives a service one more access key.
pub(super) async fn create_key(
    region: &RegionServer,
    name: &str,
) -> Result<proto::ServiceKey, Status> {
    let account = account(&region.view(), name)?.id;
    let failed = |error: &dyn std::fmt::Display| Status::internal(error.to_string());
    let (id, secret) = access_key::generate().map_err(|error| failed(&error))?;
    let sealed_secret = region.seal_secret(id.as_str(), &secret).map_err(|error| failed(&error))?;
    let command = state::CreateAccessKey {
        account: account.number(),
        user: String::new(),
        access_key_id: id.to_string(),
        sealed_secret,
    };
    let command = command::Operation::CreateAccessKey(command);
    boot::propose(region, command).await.map_err(refused)?;
    Ok(shown(&id, &secret))
}

/// Takes an access key away from a service.
pub(super) async fn delete_key(region: &RegionServer, name: &str, id: &str) -> Result<(), Status> {
    let account = account(&region.view(), name)?.id;
    let command = state::DeleteAccessKey {
        account: account.number(),
        user: String::new(),
        access_key_id: id.to_owned(),
    };
    let command = command::Operation::DeleteAccessKey(command);
    boot::propose(region, command).await.map_err(refused)
}

fn service(name: &str) -> Result<ServiceName, Status> {
    name.parse().map_err(|_| Status::invalid_argument(format!("{name:?} is no service's name")))
}

fn account(view: &View, name: &str) -> Result<Account, Status> {
    let account = view.service(&service(name)?).cloned();
    account.ok_or_else(|| Status::not_found(format!("there is no service {name}")))
}

fn shown(id: &AccessKeyId, secret: &Zeroizing<String>) -> proto::ServiceKey {
    proto::ServiceKey { access_key_id: id.to_string(), secret_access_key: secret.to_string() }
}
