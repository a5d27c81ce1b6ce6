//! What conditions of policies may ask about a request: `kms:` keys and global ones.

use std::borrow::Cow;
use std::collections::BTreeMap;

use keystead_policy::Context;
use keystead_state::{Key, View};
use keystead_types::{
    AccountId, KeyId, KeySpec, KeyUsage, KmsArn, Origin, Principal, Region, ServiceName, UnixMillis,
};

use crate::front::WireRequest;
use crate::managed_keys::Unmade;
use crate::resolve::{Asked, Found, Resource};
use crate::sessions::{Session, SessionTag};

/// Where a service says for whose resource it asks, as AWS's services do.
const SOURCES: [(&str, &str); 2] =
    [("aws:SourceArn", "x-amz-source-arn"), ("aws:SourceAccount", "x-amz-source-account")];
/// Whether a grant is made, ended or listed by a service for whom it acts.
const FOR_AWS_RESOURCE: &str = "kms:GrantIsForAWSResource";

/// What a request says about one of the things it touches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts<'a> {
    named: Vec<(&'static str, Cow<'a, str>, Given)>,
    encryption_context: Option<&'a BTreeMap<String, String>>,
    tags: Vec<(&'a str, &'a str)>,
    tag_keys: &'a [String],
    claims: &'a [(String, String)],
}

/// Whether a request gave a value or left it to its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Stated,
    Default,
}

impl<'a> Facts<'a> {
    /// A value of a condition key. An empty one is none.
    pub(crate) fn add(&mut self, key: &'static str, value: impl Into<Cow<'a, str>>) {
        self.push(key, value.into(), Given::Stated);
    }

    /// A truth value that is false where the request leaves it out.
    pub(crate) fn add_flag(&mut self, key: &'static str, flag: Option<bool>) {
        let given = if flag.is_some() { Given::Stated } else { Given::Default };
        let text = if flag.unwrap_or_default() { "true" } else { "false" };
        self.push(key, text.into(), given);
    }

    /// The encryption context.
    pub(crate) fn set_context(&mut self, context: &'a BTreeMap<String, String>) {
        self.encryption_context = Some(context);
    }

    /// Tags that the request sets.
    pub(crate) fn set_tags(&mut self, tags: impl Iterator<Item = (&'a str, &'a str)>) {
        self.tags = tags.collect();
    }

    /// Keys of tags that the request takes away.
    pub(crate) fn set_tag_keys(&mut self, keys: &'a [String]) {
        self.tag_keys = keys;
    }

    /// What an identity provider says of the caller, by condition keys.
    pub(crate) fn set_claims(&mut self, claims: &'a [(String, String)]) {
        self.claims = claims;
    }

    /// What is said of single keys, to be kept for longer than the request.
    pub(crate) fn kept(&self) -> Facts<'static> {
        let named = self.named.iter().map(|(key, value, given)| {
            let value: Cow<'static, str> = value.clone().into_owned().into();
            (*key, value, *given)
        });
        Facts { named: named.collect(), ..Facts::default() }
    }

    /// The encryption context as grants compare it.
    pub(crate) fn encryption_context(&self) -> Vec<(&str, &str)> {
        let pairs = self.encryption_context.into_iter().flatten();
        pairs.map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    fn push(&mut self, key: &'static str, value: Cow<'a, str>, given: Given) {
        if !value.is_empty() {
            self.named.push((key, value, given));
        }
    }

    pub(crate) fn fill(&self, context: &mut Context) {
        for (key, value, given) in &self.named {
            match given {
                Given::Stated => context.add(key, value.as_ref()),
                Given::Default => context.add_default(key, value.as_ref()),
            }
        }
        for (key, value) in self.encryption_context.into_iter().flatten() {
            context.add(&format!("kms:EncryptionContext:{key}"), value);
            context.add("kms:EncryptionContextKeys", key);
        }
        for (key, value) in &self.tags {
            context.add(&format!("aws:RequestTag/{key}"), *value);
            context.add("aws:TagKeys", *key);
        }
        for key in self.tag_keys {
            context.add("aws:TagKeys", key);
        }
        for (key, value) in self.claims {
            context.add(key, value);
        }
    }
}

/// What may be asked about a key, whether or not it exists yet.
pub(crate) struct KeyFacts<'a> {
    pub(crate) id: KeyId,
    pub(crate) spec: KeySpec,
    pub(crate) usage: KeyUsage,
    pub(crate) origin: Origin,
    /// The Region of the primary, of a multi-Region key.
    pub(crate) primary: Option<&'a Region>,
    pub(crate) tags: &'a BTreeMap<String, String>,
}

impl<'a> From<&'a Key> for KeyFacts<'a> {
    fn from(key: &'a Key) -> Self {
        let Key { id, spec, usage, origin, tags, .. } = key;
        let primary = key.multi_region.as_deref().map(|relatives| &relatives.primary);
        Self { id: *id, spec: *spec, usage: *usage, origin: *origin, primary, tags }
    }
}

/// A request that nobody sent: what is supposed of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Supposed {
    pub(crate) time: UnixMillis,
    /// Condition keys with the values that they have whatever else is known.
    pub(crate) given: Vec<(String, Vec<String>)>,
}

/// What is asked with.
#[derive(Clone, Copy)]
pub(crate) enum Sent<'a> {
    Request(&'a WireRequest),
    Supposed(&'a Supposed),
}

/// Who asks, when, from where, against which state.
#[derive(Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    pub(crate) view: &'a View,
    pub(crate) region: &'a Region,
    /// None for those whom policies name and who cannot call this service, such as other services.
    pub(crate) principal: Option<&'a Principal>,
    /// The session in which the principal asks.
    pub(crate) session: Option<&'a Session>,
    pub(crate) sent: Sent<'a>,
}

impl Circumstances<'_> {
    /// All that may be asked about one thing that the request touches.
    pub(crate) fn context(&self, resource: &Resource<'_>) -> Context {
        let mut context = Context::new();
        if let Some(principal) = self.principal {
            self.principal(principal, &mut context);
            // Requests to AWS KMS about no key have it as well.
            if resource.action.starts_with("kms:") {
                context.add("kms:CallerAccount", principal.account().to_string());
                if let Some(via) = self.via() {
                    context.add("kms:ViaService", via.via(self.region));
                }
            }
        }
        self.sent(&mut context);
        match &resource.found {
            Found::Key(key) => self.key(&KeyFacts::from(&**key), &mut context),
            Found::Unmade(unmade) => self.unmade(unmade, &mut context),
            Found::Role(role) => {
                for (key, value) in &role.tags {
                    for family in ["aws:ResourceTag", "iam:ResourceTag"] {
                        context.add(&format!("{family}/{key}"), value);
                    }
                }
            }
            Found::Named(named) => {
                named.facts.iter().for_each(|(key, value)| context.add(key, value));
            }
            _ => {}
        }
        if let Some(owner) = resource.owner {
            context.add("aws:ResourceAccount", owner.to_string());
        }
        if let Asked::Arn(KmsArn::Alias(alias)) = &resource.asked
            && !matches!(resource.found, Found::Alias(_))
        {
            context.add("kms:RequestAlias", alias.name.as_str());
        }
        resource.facts.fill(&mut context);
        if self.via().is_some() && !context.values(FOR_AWS_RESOURCE).is_empty() {
            context.remove(FOR_AWS_RESOURCE);
            context.add(FOR_AWS_RESOURCE, "true");
        }
        if let Sent::Supposed(supposed) = self.sent {
            supposed.replace(&mut context);
        }
        context
    }

    /// The service that acts for the principal.
    fn via(&self) -> Option<&ServiceName> {
        Some(&self.session?.via.as_ref()?.service)
    }

    fn principal(&self, principal: &Principal, context: &mut Context) {
        match principal {
            Principal::Service { account, name } => self.service(*account, name, context),
            _ => self.known(principal, context),
        }
    }

    /// A service as itself. It says for whose resource it asks, in headers that it signs.
    fn service(&self, account: AccountId, name: &ServiceName, context: &mut Context) {
        context.add("aws:PrincipalIsAWSService", "true");
        context.add("aws:ViaAWSService", "false");
        context.add("aws:PrincipalAccount", account.to_string());
        context.add("aws:PrincipalServiceName", name.as_str());
        context.add("aws:PrincipalServiceNamesList", name.as_str());
        let Sent::Request(request) = self.sent else { return };
        for (key, header) in SOURCES {
            if let Some(text) = request.header(header) {
                context.add(key, text);
            }
        }
    }

    /// Somebody of an account, who may act through a service.
    fn known(&self, principal: &Principal, context: &mut Context) {
        let arn = principal.role_arn().unwrap_or_else(|| principal.to_string());
        context.add("aws:PrincipalArn", arn);
        context.add("aws:PrincipalAccount", principal.account().to_string());
        context.add("aws:userid", principal.unique_id());
        context.add("aws:PrincipalIsAWSService", "false");
        let via = self.via();
        context.add("aws:ViaAWSService", if via.is_some() { "true" } else { "false" });
        if let Some(via) = via {
            for key in ["aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast"] {
                context.add(key, via.as_str());
            }
        }
        match principal {
            Principal::Root(_) => context.add("aws:PrincipalType", "Account"),
            Principal::User { .. } => context.add("aws:PrincipalType", "User"),
            Principal::Session { .. } => context.add("aws:PrincipalType", "AssumedRole"),
            Principal::Service { .. } => {}
        }
        if let Some(name) = principal.user_name() {
            context.add("aws:username", name);
        }
        self.tags(principal, context);
        if let Some(session) = self.session {
            context.add("aws:TokenIssueTime", session.issued.to_string());
            // Nobody has a device for a second factor.
            context.add("aws:MultiFactorAuthPresent", "false");
            if !session.source_identity.is_empty() {
                context.add("aws:SourceIdentity", &session.source_identity);
            }
            if let Some(provider) = session.federated_by() {
                context.add("aws:FederatedProvider", provider.to_string());
            }
        }
    }

    /// The tags of the principal, where its session has no other one of the same key.
    fn tags(&self, principal: &Principal, context: &mut Context) {
        const NONE: &BTreeMap<String, SessionTag> = &BTreeMap::new();
        let own = self.session.map_or(NONE, |session| &session.tags);
        let hidden = |key: &str| own.keys().any(|tag| tag.eq_ignore_ascii_case(key));
        let inherited = self.view.principal_tags(principal).filter(|(key, _)| !hidden(key));
        let own = own.iter().map(|(key, tag)| (key.as_str(), tag.value.as_str()));
        for (key, value) in inherited.chain(own) {
            context.add(&format!("aws:PrincipalTag/{key}"), value);
        }
    }

    fn sent(&self, context: &mut Context) {
        let time = match self.sent {
            Sent::Request(request) => request.time,
            Sent::Supposed(supposed) => supposed.time,
        };
        // Whoever has waited for a time to come shall not be let in by a clock that runs ahead
        // alone, nor kept in by one that is behind.
        let now = UnixMillis(time.0.max(self.view.clock().0));
        context.add("aws:CurrentTime", now.to_string());
        context.add("aws:EpochTime", now.seconds().to_string());
        context.add("aws:RequestedRegion", self.region.as_str());
        let Sent::Request(request) = self.sent else { return };
        context.add("aws:SourceIp", request.source().to_string());
        context.add("aws:SecureTransport", if request.is_secure() { "true" } else { "false" });
        for (key, header) in [("aws:UserAgent", "user-agent"), ("aws:referer", "referer")] {
            if let Some(text) = request.header(header) {
                context.add(key, text);
            }
        }
    }

    /// All that may be asked about the next PutKeyPolicy on a key, if it came from where this
    /// request comes from and said no more than it must.
    pub(crate) fn next_policy(&self, key: &KeyFacts<'_>, owner: AccountId) -> Context {
        let mut context = Context::new();
        if let Some(principal) = self.principal {
            self.principal(principal, &mut context);
            context.add("kms:CallerAccount", principal.account().to_string());
        }
        self.sent(&mut context);
        self.key(key, &mut context);
        context.add("aws:ResourceAccount", owner.to_string());
        context.add_default("kms:PolicyName", "default");
        context.add_default("kms:BypassPolicyLockoutSafetyCheck", "false");
        context
    }

    /// The same as once it is made.
    fn unmade(&self, unmade: &Unmade, context: &mut Context) {
        self.key(&KeyFacts::from(&*unmade.key), context);
        context.add("kms:ResourceAliases", unmade.alias.as_str());
    }

    fn key(&self, key: &KeyFacts<'_>, context: &mut Context) {
        context.add("kms:KeyOrigin", key.origin.as_str());
        for name in ["kms:KeySpec", "kms:CustomerMasterKeySpec"] {
            context.add(name, key.spec.as_str());
        }
        for name in ["kms:KeyUsage", "kms:CustomerMasterKeyUsage"] {
            context.add(name, key.usage.as_str());
        }
        context.add("kms:MultiRegion", if key.id.multi_region() { "true" } else { "false" });
        if let Some(primary) = key.primary {
            let primary = *primary == *self.region;
            context.add("kms:MultiRegionKeyType", if primary { "PRIMARY" } else { "REPLICA" });
        }
        for (name, value) in key.tags {
            context.add(&format!("aws:ResourceTag/{name}"), value);
        }
        for alias in self.view.aliases_to(key.id) {
            context.add("kms:ResourceAliases", alias.as_str());
        }
    }
}

impl Supposed {
    fn replace(&self, context: &mut Context) {
        for (key, values) in &self.given {
            context.remove(key);
            for value in values {
                context.add(key, value);
            }
        }
    }
}
