//! OIDC providers: entities without permissions, named by the URL of their issuer.

use std::collections::BTreeSet;

use keystead_api::iam;
use keystead_state::OidcProvider;
use keystead_types::{Issuer, OidcProviderArn};

use super::planner::{AccountPlanner, tag_text};
use super::requests;
use super::step::{Entity, Kind};
use crate::admin::proto::DeclaredProvider;

impl AccountPlanner<'_, '_, '_> {
    pub(super) fn provider(&mut self, wanted: &DeclaredProvider) {
        let entity = Entity::new(Kind::Provider, &wanted.url);
        let Ok(issuer) = Issuer::from_url(&wanted.url) else {
            return self
                .problem(&entity, "its url is no issuer's, which is like https://idp.org/a");
        };
        let ids: BTreeSet<_> = wanted.client_ids.iter().collect();
        if ids.len() < wanted.client_ids.len() {
            self.problem(&entity, "a client id is named twice");
        }
        let Some(found) = self.view.oidc_provider_of(self.account, &issuer).cloned() else {
            let request = iam::CreateOpenIdConnectProviderRequest {
                url: Some(wanted.url.clone()),
                client_id_list: wanted.client_ids.clone(),
                thumbprint_list: wanted.thumbprints.clone(),
                tags: requests::tags(&wanted.tags),
            };
            let step = self.create(&entity, request).about(tag_text(wanted.tags.iter()));
            return self.push(step.after(wanted.client_ids.join(", ")));
        };
        self.client_ids(&entity, &found, wanted);
        if found.thumbprints != wanted.thumbprints {
            let request = iam::UpdateOpenIdConnectProviderThumbprintRequest {
                open_id_connect_provider_arn: Some(found.arn().to_string()),
                thumbprint_list: wanted.thumbprints.clone(),
            };
            let step = self.change(&entity, Box::new(request)).about("thumbprints");
            let (before, after) = (found.thumbprints.join(", "), wanted.thumbprints.join(", "));
            self.push(step.before(before).after(after));
        }
        self.tags(&entity, Some(&found.arn().to_string()), &found.tags, &wanted.tags);
    }

    fn client_ids(&mut self, entity: &Entity, found: &OidcProvider, wanted: &DeclaredProvider) {
        let open_id_connect_provider_arn = Some(found.arn().to_string());
        for id in wanted.client_ids.iter().filter(|id| !found.client_ids.contains(id)) {
            let request = iam::AddClientIdToOpenIdConnectProviderRequest {
                open_id_connect_provider_arn: open_id_connect_provider_arn.clone(),
                client_id: Some(id.clone()),
            };
            let step = self.change(entity, Box::new(request)).about("client id");
            self.push(step.after(id));
        }
        for id in found.client_ids.iter().filter(|id| !wanted.client_ids.contains(id)) {
            let request = iam::RemoveClientIdFromOpenIdConnectProviderRequest {
                open_id_connect_provider_arn: open_id_connect_provider_arn.clone(),
                client_id: Some(id.clone()),
            };
            let step = self.change(entity, Box::new(request)).about("client id");
            self.push(step.before(id));
        }
    }

    /// Deletes the providers that are not declared.
    pub(super) fn prune_providers(&mut self) {
        let (view, account) = (self.view, self.account);
        let declared: BTreeSet<_> =
            self.wanted.providers.iter().map(|provider| provider.url.as_str()).collect();
        for provider in view.oidc_providers_of(account) {
            let url = provider.issuer.url();
            if declared.contains(url.as_str()) {
                continue;
            }
            let issuer = provider.issuer.clone();
            let arn = OidcProviderArn { account, issuer }.to_string();
            let request =
                iam::DeleteOpenIdConnectProviderRequest { open_id_connect_provider_arn: Some(arn) };
            let entity = Entity::new(Kind::Provider, url);
            self.push(self.delete(&entity, Box::new(request)));
        }
    }
}
