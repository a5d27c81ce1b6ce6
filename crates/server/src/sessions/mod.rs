//! Sessions: what temporary credentials stand for.
//!
//! The service keeps nothing of them. All there is to know is sealed in the session token that the
//! caller sends along, and the secret access key is derived from that token. Whether a session
//! still counts is asked of the View of each request.

mod certificate;
mod content;
mod token;

use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_policy::{Attached, Document, Kind};
use keystead_state::{Policy, View};
use keystead_types::{
    AccessKeyId, AccountId, OidcProviderArn, OidcProviderId, PolicyId, Principal, RoleId,
    ServiceName, SessionName, UnixMillis, UserId,
};

use crate::sigv4::Rejection;

pub(crate) use certificate::{SERVICE as CERTIFICATES, by_certificate};
pub(crate) use token::{MAX_PACKED_BYTES, open, seal};

/// What a session token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// At random: no two sessions have the same.
    pub(crate) id: [u8; 16],
    pub(crate) account: AccountId,
    pub(crate) holder: Holder,
    /// The access key that was signed with, also where other sessions are between; none where a
    /// certificate told who asked.
    pub(crate) issuer: Option<Issuer>,
    /// When it was issued, by the later of the node's clock and the replicated clock.
    pub(crate) issued: UnixMillis,
    /// The same by the replicated clock alone, which orders it before or after a revocation.
    pub(crate) ordered: UnixMillis,
    pub(crate) expires: UnixMillis,
    /// Whether a session of a role made it.
    pub(crate) chained: bool,
    /// Who the source said it was; empty if it did not.
    pub(crate) source_identity: String,
    /// The OIDC provider that answered for the caller, also where other sessions are between; none
    /// where nobody but an access key is behind it.
    pub(crate) provider: Option<Provider>,
    /// Whom that provider calls the caller; empty if there is none.
    pub(crate) subject: String,
    /// The text of the policy that narrows it; empty if there is none.
    pub(crate) policy: String,
    /// Managed policies that narrow it.
    pub(crate) managed: Vec<PolicyId>,
    /// Tags, with whether they are handed down to sessions that this one makes.
    pub(crate) tags: BTreeMap<String, SessionTag>,
    /// The service that acts in it for its holder.
    pub(crate) via: Option<Via>,
}

/// A service that acts for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Via {
    pub(crate) service: ServiceName,
    /// The access key that it showed itself with.
    pub(crate) issuer: Issuer,
}

/// The OIDC provider behind a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provider {
    /// One that was deleted and made again is another one.
    pub(crate) id: OidcProviderId,
    pub(crate) arn: OidcProviderArn,
}

/// Who acts in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    Root,
    User(UserId),
    Role { id: RoleId, session: SessionName },
}

/// The access key behind a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issuer {
    pub(crate) id: AccessKeyId,
    /// The log index at which its secret was set: an id that was deleted may come again.
    pub(crate) version: u64,
}

/// The value of a session tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionTag {
    pub(crate) value: String,
    pub(crate) transitive: bool,
}

/// A policy of a session.
pub(crate) struct SessionPolicy {
    name: String,
    document: SessionDocument,
}

enum SessionDocument {
    Inline(Document),
    Managed(Arc<Policy>),
}

impl SessionPolicy {
    /// As the evaluator takes it.
    pub(crate) fn attached(&self) -> Attached<'_> {
        let document = match &self.document {
            SessionDocument::Inline(document) => document,
            SessionDocument::Managed(policy) => &policy.document,
        };
        Attached { name: &self.name, document }
    }
}

impl Session {
    /// Whether it is a session of a role, not one of a user or a root.
    pub(crate) fn is_of_role(&self) -> bool {
        matches!(self.holder, Holder::Role { .. })
    }

    /// The OIDC provider that answered for whoever acts in it, without other sessions between.
    pub(crate) fn federated_by(&self) -> Option<&OidcProviderArn> {
        let provider = self.provider.as_ref().filter(|_| !self.chained);
        provider.map(|provider| &provider.arn)
    }

    /// Who acts in it, if it still counts.
    ///
    /// # Errors
    /// [`Rejection::ExpiredToken`] when its time is over; [`Rejection::InvalidToken`] when the
    /// principal, the access key, the OIDC provider or a managed policy behind it is gone, or it
    /// was revoked.
    pub(crate) fn principal(&self, view: &View, now: UnixMillis) -> Result<Principal, Rejection> {
        if self.expires <= now {
            return Err(Rejection::ExpiredToken);
        }
        let principal = self.counts(view).then(|| self.holder(view)).flatten();
        principal.ok_or(Rejection::InvalidToken)
    }

    /// Whether nothing around the principal ended it.
    fn counts(&self, view: &View) -> bool {
        let active = |id: AccountId| view.account(id).is_some_and(|account| !account.suspended);
        let issued_by = |issuer: &Issuer| {
            let key = view.credential(&issuer.id);
            key.is_some_and(|key| {
                key.active && key.version == issuer.version && active(key.account)
            })
        };
        active(self.account)
            && self.issuer.as_ref().is_none_or(issued_by)
            && self
                .via
                .as_ref()
                .is_none_or(|via| issued_by(&via.issuer) && self.outlasts(view, via))
            && self.provider.as_ref().is_none_or(|one| view.oidc_provider(&one.id).is_some())
            && self.managed.iter().all(|id| view.managed_policy(id).is_some())
    }

    /// Whether the service has not ended what it does for others since then.
    fn outlasts(&self, view: &View, via: &Via) -> bool {
        let key = view.credential(&via.issuer.id);
        let account = key.and_then(|key| view.account(key.account));
        account.is_some_and(|account| {
            account.service.as_ref() == Some(&via.service)
                && self.ordered >= account.sessions_valid_after
        })
    }

    /// The principal, unless it is gone or its sessions of that time were revoked.
    fn holder(&self, view: &View) -> Option<Principal> {
        let account = self.account;
        let (principal, valid_after) = match &self.holder {
            Holder::Root => {
                let account = view.account(account)?;
                (account.principal(), account.sessions_valid_after)
            }
            Holder::User(id) => {
                let user = view.user(id)?;
                let (name, id) = (user.arn().friendly_name().into(), id.to_string().into());
                (Principal::User { account, name, id }, user.sessions_valid_after)
            }
            Holder::Role { id, session } => {
                let role = view.role(id)?;
                let (name, id) = (role.arn().friendly_name().into(), id.to_string().into());
                let session = session.as_str().into();
                let principal = Principal::Session { account, role: name, id, session };
                (principal, role.sessions_valid_after)
            }
        };
        (self.ordered >= valid_after).then_some(principal)
    }

    /// The policies that narrow it, in force as of a View; none if it was made without any.
    pub(crate) fn policies(&self, view: &View) -> Vec<SessionPolicy> {
        let inline = (!self.policy.is_empty()).then(|| {
            let document = Document::parse(Kind::Identity, &self.policy);
            let document = document.unwrap_or_else(|_| Document::denying(Kind::Identity));
            SessionPolicy {
                name: "session".to_owned(),
                document: SessionDocument::Inline(document),
            }
        });
        let managed = self.managed.iter().map(|id| match view.managed_policy(id) {
            Some(policy) => SessionPolicy {
                name: policy.arn().to_string(),
                document: SessionDocument::Managed(policy.default_version().policy.clone()),
            },
            None => SessionPolicy {
                name: id.to_string(),
                document: SessionDocument::Inline(Document::denying(Kind::Identity)),
            },
        });
        inline.into_iter().chain(managed).collect()
    }
}
