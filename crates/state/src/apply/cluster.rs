//! The cluster and its accounts.

use keystead_types::{AccessKeyId, AccountId, ServiceName, UnixMillis};

use super::{Execution, FIRST_VERSION, done};
use crate::model::{Account, Authority, Credential};
use crate::proto::{self, Reason};
use crate::records;
use crate::transition::Transition;
use crate::view::Cluster;

/// The version of clusters that know from the beginning which keys lose material.
const KNOWS_LOSSES: u32 = 2;

/// The cluster is of the version that its first command needs, so that all software agrees on it.
pub(super) fn initialise(
    next: &mut Transition<'_>,
    version: u32,
    op: &proto::Initialise,
) -> Execution {
    if next.view.is_initialised() {
        return Err(Reason::AlreadyInitialised.into());
    }
    let domain_key = op.domain_key.clone().map(records::read_domain_key);
    let domain_key = domain_key.ok_or(Reason::Malformed)?;
    let cluster = Cluster {
        id: records::read_cluster_id(&op.cluster_id).ok_or(Reason::Malformed)?,
        region: op.region.parse().map_err(|_| Reason::Malformed)?,
        version: version.max(FIRST_VERSION),
        sealed_roots: op.sealed_roots.iter().cloned().map(records::read_sealed_root).collect(),
        domain_key_epoch: domain_key.epoch,
        uses_known_since: None,
        losses_known: version >= KNOWS_LOSSES,
    };
    next.put_cluster(cluster);
    next.put_domain_key(domain_key);
    Ok(done())
}

/// What members understand they never forget: a version that is not higher changes nothing.
pub(super) fn raise_version(
    next: &mut Transition<'_>,
    version: u32,
    op: &proto::RaiseVersion,
) -> Execution {
    // Whoever applies it understands the version of the command, not one that it merely names.
    if op.version > version {
        return Err(Reason::Malformed.into());
    }
    let cluster = next.view.cluster.as_deref().ok_or(Reason::NotInitialised)?;
    if op.version > cluster.version {
        let cluster = Cluster { version: op.version, ..cluster.clone() };
        next.put_cluster(cluster);
    }
    Ok(done())
}

pub(super) fn create_authority(
    next: &mut Transition<'_>,
    op: &proto::CreateAuthority,
) -> Execution {
    if next.view.authority().is_some() {
        return Err(Reason::AuthorityExists.into());
    }
    let (certificate, sealed_key) = (op.certificate.clone(), op.sealed_key.clone());
    next.put_authority(Authority { certificate, sealed_key, created: next.view.clock });
    Ok(done())
}

pub(super) fn create_account(next: &mut Transition<'_>, op: &proto::CreateAccount) -> Execution {
    let id = AccountId::from_number(op.account).ok_or(Reason::Malformed)?;
    let access_key: AccessKeyId = op.access_key_id.parse().map_err(|_| Reason::Malformed)?;
    if next.view.account(id).is_some() {
        return Err(Reason::AccountExists.into());
    }
    if next.view.credential(&access_key).is_some() {
        return Err(Reason::AccessKeyExists.into());
    }
    let service: Option<ServiceName> = match op.service.as_str() {
        "" => None,
        name => Some(name.parse().map_err(|_| Reason::Malformed)?),
    };
    if let Some(name) = &service
        && next.view.service(name).is_some()
    {
        return Err(Reason::ServiceExists.into());
    }
    let (created, index) = (next.view.clock, next.index());
    next.put_account(Account {
        id,
        created,
        suspended: false,
        rights_removed_at: 0,
        sessions_valid_after: UnixMillis(0),
        service,
    });
    next.put_credential(Credential {
        id: access_key,
        account: id,
        user: None,
        sealed_secret: op.sealed_secret.clone(),
        created,
        active: true,
        rights_removed_at: 0,
        version: index,
    });
    Ok(done())
}
