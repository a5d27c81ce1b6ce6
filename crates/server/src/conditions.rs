//! What conditions of policies may ask about a request: `kms:` keys and global ones.

use std::borrow::Cow;
use std::collections::BTreeMap;

use keystead_policy::Context;
use keystead_state::{Key, View};
use keystead_types::{KmsArn, Principal, Region, UnixMillis};

use crate::front::WireRequest;
use crate::resolve::{Asked, Found, Resource};

/// What a request says about one of the things it touches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts<'a> {
    named: Vec<(&'static str, Cow<'a, str>, Given)>,
    encryption_context: Option<&'a BTreeMap<String, String>>,
    tags: Vec<(&'a str, &'a str)>,
    tag_keys: &'a [String],
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

    fn fill(&self, context: &mut Context) {
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
    }
}

/// Who asks, when, from where, against which state.
#[derive(Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    pub(crate) view: &'a View,
    pub(crate) region: &'a Region,
    pub(crate) principal: &'a Principal,
    pub(crate) request: &'a WireRequest,
}

impl Circumstances<'_> {
    /// All that may be asked about one thing that the request touches.
    pub(crate) fn context(&self, resource: &Resource<'_>) -> Context {
        let mut context = Context::new();
        self.principal(&mut context);
        self.request(&mut context);
        match &resource.found {
            Found::Key(key) => self.key(key, &mut context),
            Found::Named(named) => {
                named.facts.iter().for_each(|(key, value)| context.add(key, value));
            }
            _ => {}
        }
        // Requests to AWS KMS about no key have it as well.
        if resource.action.starts_with("kms:") {
            context.add("kms:CallerAccount", self.principal.account().to_string());
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
        context
    }

    fn principal(&self, context: &mut Context) {
        let principal = self.principal;
        context.add("aws:PrincipalArn", principal.to_string());
        context.add("aws:PrincipalAccount", principal.account().to_string());
        context.add("aws:userid", principal.unique_id());
        context.add("aws:PrincipalIsAWSService", "false");
        context.add("aws:ViaAWSService", "false");
        match principal {
            Principal::Root(_) => context.add("aws:PrincipalType", "Account"),
            Principal::User { .. } => context.add("aws:PrincipalType", "User"),
        }
        if let Some(name) = principal.user_name() {
            context.add("aws:username", name);
        }
        for (key, value) in self.view.principal_tags(principal) {
            context.add(&format!("aws:PrincipalTag/{key}"), value);
        }
    }

    fn request(&self, context: &mut Context) {
        let request = self.request;
        // Whoever has waited for a time to come shall not be let in by a clock that runs ahead
        // alone, nor kept in by one that is behind.
        let now = UnixMillis(request.time.0.max(self.view.clock().0));
        context.add("aws:CurrentTime", now.to_string());
        context.add("aws:EpochTime", now.seconds().to_string());
        context.add("aws:SourceIp", request.source().to_string());
        context.add("aws:SecureTransport", if request.is_secure() { "true" } else { "false" });
        context.add("aws:RequestedRegion", self.region.as_str());
        for (key, header) in [("aws:UserAgent", "user-agent"), ("aws:referer", "referer")] {
            if let Some(text) = request.header(header) {
                context.add(key, text);
            }
        }
    }

    fn key(&self, key: &Key, context: &mut Context) {
        context.add("kms:KeyOrigin", key.origin.as_str());
        for name in ["kms:KeySpec", "kms:CustomerMasterKeySpec"] {
            context.add(name, key.spec.as_str());
        }
        for name in ["kms:KeyUsage", "kms:CustomerMasterKeyUsage"] {
            context.add(name, key.usage.as_str());
        }
        context.add("kms:MultiRegion", if key.id.multi_region() { "true" } else { "false" });
        if let Some(relatives) = &key.multi_region {
            let primary = relatives.primary == *self.region;
            context.add("kms:MultiRegionKeyType", if primary { "PRIMARY" } else { "REPLICA" });
        }
        for (name, value) in &key.tags {
            context.add(&format!("aws:ResourceTag/{name}"), value);
        }
        for alias in self.view.aliases_to(key.id) {
            context.add("kms:ResourceAliases", alias.as_str());
        }
    }
}
