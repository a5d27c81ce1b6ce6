//! OIDC providers: whose tokens an account takes, and for which clients.

use keystead_api::iam;
use keystead_api::query::{Fault, messages};
use keystead_crypto::random;
use keystead_state::proto::{self, outcome};
use keystead_types::{Issuer, OidcProviderArn, OidcProviderId};

use super::call::{Call, Described};
use super::{Change, Query, entities, operation, tags};
use crate::audit::Parameters;
use crate::propose;

/// Thumbprints that a provider may have.
const THUMBPRINTS: usize = 5;

operation!(
    CreateOpenIDConnectProvider:
    CreateOpenIdConnectProviderRequest => CreateOpenIdConnectProviderResponse,
    |this, call| {
        let issuer = issuer(this.url())?;
        call.on_new("oidc-provider", "/", issuer.as_str()).request_tags(&this.tags)
    }, also |this, call| {
        let issuer = issuer(this.url()).ok()?;
        let provider = call.on_new("oidc-provider", "/", issuer.as_str());
        (!this.tags.is_empty())
            .then(|| provider.request_tags(&this.tags).by("iam:TagOpenIDConnectProvider"))
    }
);
operation!(
    GetOpenIDConnectProvider:
    GetOpenIdConnectProviderRequest => GetOpenIdConnectProviderResponse,
    |this, call| call.on_oidc_provider(this.open_id_connect_provider_arn())?
);
operation!(
    ListOpenIDConnectProviders:
    ListOpenIdConnectProvidersRequest => ListOpenIdConnectProvidersResponse,
    |_this, call| call.on_anything()
);
operation!(
    DeleteOpenIDConnectProvider:
    DeleteOpenIdConnectProviderRequest => DeleteOpenIdConnectProviderResponse,
    |this, call| call.on_oidc_provider(this.open_id_connect_provider_arn())?
);
operation!(
    AddClientIDToOpenIDConnectProvider:
    AddClientIdToOpenIdConnectProviderRequest => AddClientIdToOpenIdConnectProviderResponse,
    |this, call| call.on_oidc_provider(this.open_id_connect_provider_arn())?
);
operation!(
    RemoveClientIDFromOpenIDConnectProvider:
    RemoveClientIdFromOpenIdConnectProviderRequest
        => RemoveClientIdFromOpenIdConnectProviderResponse,
    |this, call| call.on_oidc_provider(this.open_id_connect_provider_arn())?
);
operation!(
    UpdateOpenIDConnectProviderThumbprint:
    UpdateOpenIdConnectProviderThumbprintRequest => UpdateOpenIdConnectProviderThumbprintResponse,
    |this, call| call.on_oidc_provider(this.open_id_connect_provider_arn())?
);

impl Change for iam::CreateOpenIdConnectProviderRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let id = OidcProviderId::from_random(random::bytes().map_err(|_| messages::internal())?);
        Ok(proto::CreateOidcProvider {
            provider_id: id.to_string(),
            account: call.account().number(),
            issuer: issuer(self.url())?.to_string(),
            client_ids: self.client_id_list.clone(),
            thumbprints: thumbprints(&self.thumbprint_list)?,
            tags: tags::to_map(&self.tags)?,
        }
        .into())
    }

    fn answer(&self, call: Call<'_>, _: &outcome::Result) -> Result<Self::Output, Fault> {
        let arn = OidcProviderArn { account: call.account(), issuer: issuer(self.url())? };
        let provider = call.oidc_provider(&arn.to_string())?;
        Ok(Self::Output {
            open_id_connect_provider_arn: Some(arn.to_string()),
            tags: tags::shown(&provider.tags),
        })
    }

    fn record_response(output: &Self::Output) -> Parameters {
        Parameters::of(output)
    }
}

impl Query for iam::GetOpenIdConnectProviderRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let provider = call.oidc_provider(self.open_id_connect_provider_arn())?;
        Ok(Self::Output {
            url: Some(provider.issuer.to_string()),
            client_id_list: provider.client_ids.clone(),
            thumbprint_list: provider.thumbprints.clone(),
            create_date: entities::time(provider.created),
            tags: tags::shown(&provider.tags),
        })
    }
}

impl Query for iam::ListOpenIdConnectProvidersRequest {
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
        let entry = |arn: OidcProviderArn| iam::OpenIdConnectProviderListEntry {
            arn: Some(arn.to_string()),
        };
        let providers = call.view.oidc_providers_of(call.account());
        let open_id_connect_provider_list =
            providers.map(|provider| entry(provider.arn())).collect();
        Ok(Self::Output { open_id_connect_provider_list })
    }
}

impl Change for iam::DeleteOpenIdConnectProviderRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let entity = Some(call.oidc_provider_ref(self.open_id_connect_provider_arn())?);
        Ok(proto::DeleteEntity { entity }.into())
    }
}

impl Change for iam::AddClientIdToOpenIdConnectProviderRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let provider = call.oidc_provider_ref(self.open_id_connect_provider_arn())?;
        let (account, issuer) = (provider.account, provider.name);
        Ok(proto::AddClientId { account, issuer, client_id: self.client_id().to_owned() }.into())
    }
}

impl Change for iam::RemoveClientIdFromOpenIdConnectProviderRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let provider = call.oidc_provider_ref(self.open_id_connect_provider_arn())?;
        let (account, issuer) = (provider.account, provider.name);
        let client_id = self.client_id().to_owned();
        Ok(proto::RemoveClientId { account, issuer, client_id }.into())
    }
}

impl Change for iam::UpdateOpenIdConnectProviderThumbprintRequest {
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
        let provider = call.oidc_provider_ref(self.open_id_connect_provider_arn())?;
        let (account, issuer) = (provider.account, provider.name);
        let thumbprints = thumbprints(&self.thumbprint_list)?;
        Ok(proto::PutThumbprints { account, issuer, thumbprints }.into())
    }
}

fn issuer(url: &str) -> Result<Issuer, Fault> {
    Issuer::from_url(url).map_err(|_| messages::invalid_issuer())
}

fn thumbprints(given: &[String]) -> Result<Vec<String>, Fault> {
    let digest = |text: &String| text.bytes().all(|b| b.is_ascii_hexdigit());
    if given.len() > THUMBPRINTS || !given.iter().all(digest) {
        return Err(messages::invalid_thumbprints());
    }
    Ok(given.to_vec())
}
