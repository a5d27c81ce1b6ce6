//! The life of an OIDC provider. Its issuer never changes. What its tokens are taken for is judged
//! when a session is made of one; once it is gone, so are the sessions that it answered for.

use keystead_types::{Issuer, OidcProviderId};

use super::entity::{self, put_oidc_provider};
use super::{Execution, account, done, parse, tags};
use crate::iam::OidcProvider;
use crate::limits::{CLIENT_IDS_PER_PROVIDER, OIDC_PROVIDERS_PER_ACCOUNT};
use crate::proto::{self, EntityRef, Reason};
use crate::transition::Transition;

pub(crate) fn create(next: &mut Transition<'_>, op: &proto::CreateOidcProvider) -> Execution {
    let (id, issuer): (OidcProviderId, Issuer) = (parse(&op.provider_id)?, parse(&op.issuer)?);
    let account = account(next, op.account)?;
    if next.view.oidc_provider_of(account, &issuer).is_some() {
        return Err(Reason::OidcProviderExists.into());
    }
    if next.view.oidc_provider(&id).is_some() {
        return Err(Reason::UniqueIdExists.into());
    }
    if next.view.directory.oidc_providers.count(account) >= OIDC_PROVIDERS_PER_ACCOUNT {
        return Err(Reason::OidcProviderLimit.into());
    }
    let mut client_ids = Vec::new();
    op.client_ids.iter().try_for_each(|client_id| add(&mut client_ids, client_id))?;
    let provider = OidcProvider {
        id,
        account,
        issuer,
        client_ids,
        thumbprints: op.thumbprints.clone(),
        tags: tags::initial(&op.tags)?,
        created: next.view.clock,
        rights_removed_at: 0,
    };
    put_oidc_provider(next, provider);
    Ok(done())
}

pub(crate) fn add_client_id(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::AddClientId,
) -> Execution {
    let mut provider = entity::oidc_provider(next, at, op.account, &op.issuer)?;
    add(&mut provider.client_ids, &op.client_id)?;
    put_oidc_provider(next, provider);
    Ok(done())
}

pub(crate) fn remove_client_id(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::RemoveClientId,
) -> Execution {
    let mut provider = entity::oidc_provider(next, at, op.account, &op.issuer)?;
    provider.client_ids.retain(|client_id| *client_id != op.client_id);
    put_oidc_provider(next, provider);
    Ok(done())
}

pub(crate) fn put_thumbprints(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::PutThumbprints,
) -> Execution {
    let mut provider = entity::oidc_provider(next, at, op.account, &op.issuer)?;
    provider.thumbprints = op.thumbprints.clone();
    put_oidc_provider(next, provider);
    Ok(done())
}

pub(super) fn delete(next: &mut Transition<'_>, at: u64, entity: &EntityRef) -> Execution {
    let provider = entity::oidc_provider(next, at, entity.account, &entity.name)?;
    next.remove_oidc_provider(&provider);
    Ok(done())
}

fn add(client_ids: &mut Vec<String>, client_id: &str) -> Result<(), Reason> {
    if client_id.is_empty() {
        return Err(Reason::Malformed);
    }
    if client_ids.iter().any(|known| known == client_id) {
        return Ok(());
    }
    if client_ids.len() >= CLIENT_IDS_PER_PROVIDER {
        return Err(Reason::ClientIdLimit);
    }
    client_ids.push(client_id.to_owned());
    Ok(())
}
