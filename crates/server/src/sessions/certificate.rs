//! Sessions of roles that client certificates name: not issued and kept, as those of STS, but begun
//! by each request, so that the trust policy of the request's own View decides.

use std::collections::BTreeMap;

use keystead_policy::{Caller, Verdict};
use keystead_state::{Role, View};
use keystead_types::UnixMillis;

use super::{Holder, Session, SessionTag};
use crate::client_certificate::CertifiedRole;
use crate::conditions::{Circumstances, Facts, Sent};
use crate::front::WireRequest;
use crate::pipeline::time_of;
use crate::question::Asker;
use crate::region::RegionServer;
use crate::resolve::{Asked, Found, Resource};

/// The service by whose name trust policies let certificates in, as at AWS.
pub(crate) const SERVICE: &str = "rolesanywhere.amazonaws.com";
/// The action that is asked for.
const ASSUME: &str = "sts:AssumeRole";
/// The condition key with the URI in the certificate, and the session tag behind it.
const URI_KEY: &str = "aws:PrincipalTag/x509SAN/URI";
const URI_TAG: &str = "x509SAN/URI";
/// How long after a request its session would end. Nobody has a token of it.
const SECONDS: u64 = 3600;

/// The session in which a certificate's role asks; none where there is no such role, or its trust
/// policy does not let the certificate in.
pub(crate) fn by_certificate(
    request: &WireRequest,
    region: &RegionServer,
    view: &View,
    named: &CertifiedRole,
) -> Option<Session> {
    let role = named.role.role_name().and_then(|name| view.role_named(named.role.account, name));
    let role = role.filter(|role| role.arn() == named.role)?;
    let mut facts = Facts::default();
    facts.add(URI_KEY, named.uri.as_str());
    let resource = Resource {
        action: ASSUME,
        facts,
        by_grant: None,
        asked: Asked::Role(named.role.to_string()),
        owner: Some(role.account),
        found: Found::Role(role.clone()),
    };
    let circumstances = Circumstances {
        view,
        region: region.name(),
        principal: None,
        session: None,
        sent: Sent::Request(request),
    };
    let asker = Asker::outsider(Caller::service(SERVICE), circumstances);
    let allowed =
        asker.ask(&resource, |question| matches!(question.decide(), Verdict::Allow { .. }));
    allowed.unwrap_or(false).then(|| session(request, view, role, named))
}

fn session(request: &WireRequest, view: &View, role: &Role, named: &CertifiedRole) -> Session {
    let now = time_of(request, view);
    let uri = SessionTag { value: named.uri.clone(), transitive: false };
    Session {
        // No token has it.
        id: [0; 16],
        account: role.account,
        holder: Holder::Role { id: role.id, session: named.session.clone() },
        issuer: None,
        issued: now,
        // This View knows of the last revocation, and its trust policy has decided after that.
        ordered: UnixMillis(view.clock().0.max(role.sessions_valid_after.0)),
        expires: now.plus(SECONDS * 1000),
        chained: false,
        source_identity: String::new(),
        provider: None,
        via: None,
        subject: String::new(),
        policy: String::new(),
        managed: Vec::new(),
        tags: BTreeMap::from([(URI_TAG.to_owned(), uri)]),
    }
}
