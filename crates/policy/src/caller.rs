//! Who asks, and who is named in a `Principal` element.

use keystead_types::{AccountId, PARTITION, Principal};

use crate::defect::{Defect, planted};
use crate::error::{At, PolicyError, Reason};
use crate::json::Json;

/// The kinds of those who ask.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Root,
    User,
    Role,
    Session { role: String },
    FederatedUser,
    FederatedProvider,
    Service,
    Anonymous,
}

/// Who asks, with all the names that a policy can know them by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    kind: Kind,
    account: Option<AccountId>,
    /// An ARN; of a service or an identity provider, its name.
    name: String,
    /// `AIDA…` or `AROA…`: what stored policies may name a user or role by.
    unique_id: Option<String>,
}

impl Caller {
    /// The account itself.
    pub fn root(account: AccountId) -> Self {
        Self::new(Kind::Root, Some(account), format!("arn:{PARTITION}:iam::{account}:root"))
    }

    /// A user, by path and name without a leading slash, such as `alice` or `team/alice`.
    pub fn user(account: AccountId, name: &str) -> Self {
        Self::new(Kind::User, Some(account), format!("arn:{PARTITION}:iam::{account}:user/{name}"))
    }

    /// A role that acts without a session, by path and name without a leading slash.
    pub fn role(account: AccountId, name: &str) -> Self {
        Self::new(Kind::Role, Some(account), role_arn(account, name))
    }

    /// A session of a role: the role by path and name, as for [`Self::role`].
    pub fn session(account: AccountId, role: &str, session: &str) -> Self {
        let short = role.rsplit_once('/').map_or(role, |(_, name)| name);
        let name = format!("arn:{PARTITION}:sts::{account}:assumed-role/{short}/{session}");
        Self::new(Kind::Session { role: role_arn(account, role) }, Some(account), name)
    }

    /// A federated user of the account.
    pub fn federated_user(account: AccountId, name: &str) -> Self {
        let arn = format!("arn:{PARTITION}:sts::{account}:federated-user/{name}");
        Self::new(Kind::FederatedUser, Some(account), arn)
    }

    /// Somebody for whom an identity provider answers, who has no principal here yet.
    pub fn federated_provider(provider: &str) -> Self {
        Self::new(Kind::FederatedProvider, None, provider.to_owned())
    }

    /// A service, such as `logs.amazonaws.com`.
    pub fn service(name: &str) -> Self {
        Self::new(Kind::Service, None, name.to_owned())
    }

    /// Nobody known.
    pub fn anonymous() -> Self {
        Self::new(Kind::Anonymous, None, String::new())
    }

    /// Adds the unique id of the user, or of the role whose session it is.
    pub fn with_unique_id(self, id: &str) -> Self {
        Self { unique_id: Some(id.to_owned()), ..self }
    }

    fn new(kind: Kind, account: Option<AccountId>, name: String) -> Self {
        Self { kind, account, name, unique_id: None }
    }

    /// The account that the caller belongs to, if to any.
    pub fn account(&self) -> Option<AccountId> {
        self.account
    }

    /// The caller's ARN, or the name of a service or identity provider.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of `aws:PrincipalArn`: of a session, its role.
    pub fn principal_arn(&self) -> &str {
        self.role_arn().unwrap_or(&self.name)
    }

    /// Whether it is an account itself.
    pub fn is_root(&self) -> bool {
        self.kind == Kind::Root
    }

    pub(crate) fn is_service(&self) -> bool {
        self.kind == Kind::Service
    }

    pub(crate) fn is_provider(&self) -> bool {
        self.kind == Kind::FederatedProvider
    }

    fn role_arn(&self) -> Option<&str> {
        match &self.kind {
            Kind::Session { role } => Some(role),
            _ => None,
        }
    }
}

impl From<&Principal> for Caller {
    fn from(principal: &Principal) -> Self {
        match principal {
            Principal::Root(account) => Self::root(*account),
            Principal::User { account, name, id } => Self::user(*account, name).with_unique_id(id),
            Principal::Session { account, role, id, session } => {
                Self::session(*account, role, session).with_unique_id(id)
            }
            Principal::Service { name, .. } => Self::service(name.as_str()),
        }
    }
}

fn role_arn(account: AccountId, name: &str) -> String {
    format!("arn:{PARTITION}:iam::{account}:role/{name}")
}

/// How closely a policy names a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Named {
    /// By the account: whether it may is for the account's own policies to say.
    ByAccount,
    /// As everybody, or by the role.
    Directly,
    /// As this user or session: no boundary or session policy was meant to limit it.
    Itself,
}

/// One principal that a policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedPrincipal {
    /// `*`
    Everybody,
    /// An account, by its number or the ARN of its root.
    Account(AccountId),
    /// A user, role, role session or federated user, by ARN.
    Arn(String),
    /// A user or role, by unique id.
    UniqueId(String),
    /// A service.
    Service(String),
    /// An identity provider.
    Federated(String),
    /// A canonical user, who does not exist here.
    CanonicalUser(String),
}

impl NamedPrincipal {
    /// Reads a principal as it stands under `AWS`: `*`, an account, an ARN or a unique id.
    ///
    /// # Errors
    /// If it is none of these.
    pub fn parse_aws(text: &str) -> Result<Self, Reason> {
        if text == "*" {
            return Ok(Self::Everybody);
        }
        if let Ok(account) = text.parse() {
            return Ok(Self::Account(account));
        }
        let unique_id = (16..=128).contains(&text.len())
            && (text.starts_with("AIDA") || text.starts_with("AROA"))
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if unique_id {
            return Ok(Self::UniqueId(text.to_owned()));
        }
        principal_arn(text).ok_or_else(|| Reason::text("a principal", text))
    }

    /// How this names a caller, if it does.
    pub(crate) fn names(&self, caller: &Caller) -> Option<Named> {
        match self {
            // Who belongs to no account needs more than that: services are named as such.
            Self::Everybody if caller.account.is_none() => Some(Named::ByAccount),
            Self::Everybody => Some(Named::Directly),
            Self::Account(account) => {
                let whole = caller.is_root() || planted(Defect::AccountIsDirect);
                let named = if whole { Named::Directly } else { Named::ByAccount };
                (caller.account == Some(*account)).then_some(named)
            }
            Self::Arn(arn) if *arn == caller.name => Some(match caller.kind {
                Kind::Role => Named::Directly,
                _ => Named::Itself,
            }),
            Self::Arn(arn) => (caller.role_arn() == Some(arn)
                && !planted(Defect::RoleNotItsSessions))
            .then_some(Named::Directly),
            Self::UniqueId(id) => {
                let named = if caller.kind == Kind::User { Named::Itself } else { Named::Directly };
                (caller.unique_id.as_ref() == Some(id)).then_some(named)
            }
            Self::Service(name) => {
                (caller.kind == Kind::Service && *name == caller.name).then_some(Named::Directly)
            }
            Self::Federated(name) => {
                let same = *name == caller.name
                    || (planted(Defect::FederatedPrefix) && caller.name.starts_with(name));
                (caller.kind == Kind::FederatedProvider && same).then_some(Named::Directly)
            }
            Self::CanonicalUser(_) => None,
        }
    }
}

/// Characters that IAM allows in the names of its entities, and in their paths.
fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

fn principal_arn(text: &str) -> Option<NamedPrincipal> {
    let arn = keystead_types::Arn::parse(text)?;
    let account: AccountId = arn.account.parse().ok()?;
    if arn.partition != PARTITION || !arn.region.is_empty() || text.len() > 2048 {
        return None;
    }
    let (kind, name) = arn.resource.split_once('/').unwrap_or((arn.resource, ""));
    let names = name.split('/').all(is_name);
    let well_formed = match (arn.service, kind) {
        ("iam", "root") if arn.resource == "root" => return Some(NamedPrincipal::Account(account)),
        ("iam", "user" | "role") => names,
        ("sts", "assumed-role") => names && name.split('/').count() == 2,
        ("sts", "federated-user") => is_name(name),
        _ => false,
    };
    well_formed.then(|| NamedPrincipal::Arn(text.to_owned()))
}

/// A `Principal` or `NotPrincipal` element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principals {
    pub(crate) negated: bool,
    pub(crate) named: Vec<NamedPrincipal>,
}

impl Principals {
    pub(crate) fn parse(json: &Json, at: &At<'_>, negated: bool) -> Result<Self, PolicyError> {
        if let Json::Text(text) = json {
            if text == "*" {
                return Ok(Self { negated, named: vec![NamedPrincipal::Everybody] });
            }
            return at.refuse(Reason::text("a principal", text));
        }
        let mut named = Vec::new();
        for (kind, values) in json.object(at)? {
            let at = at.field(kind);
            named.extend(values.one_or_many(&at, |value, at| {
                let text = value.text(at)?;
                of_kind(kind, text).map_err(|reason| at.error(reason))
            })?);
        }
        if named.is_empty() {
            return at.refuse(Reason::Empty);
        }
        Ok(Self { negated, named })
    }

    /// How closely the element names a caller, if it does.
    pub(crate) fn names(&self, caller: &Caller) -> Option<Named> {
        let listed = self.named.iter().filter_map(|named| named.names(caller)).max();
        if !self.negated {
            return listed;
        }
        // An exemption holds for those only of whom everything is listed: account, role, session.
        let any = |test: &dyn Fn(&NamedPrincipal) -> bool| self.named.iter().any(test);
        let account = || {
            caller.account.is_none_or(|account| any(&|n| *n == NamedPrincipal::Account(account)))
        };
        let role = || {
            caller.role_arn().is_none_or(|role| {
                let id = caller.unique_id.as_deref();
                any(&|named| match named {
                    NamedPrincipal::Arn(arn) => arn == role,
                    NamedPrincipal::UniqueId(listed) => Some(listed.as_str()) == id,
                    _ => false,
                })
            })
        };
        let itself = || {
            let exact = match caller.kind {
                Kind::Session { .. } | Kind::User | Kind::FederatedUser => Named::Itself,
                _ => Named::Directly,
            };
            listed >= Some(exact)
        };
        let exempt = any(&|named| *named == NamedPrincipal::Everybody)
            || (account() && role() && itself())
            || (listed.is_some() && planted(Defect::NotPrincipalAnyListed));
        (!exempt).then_some(Named::Directly)
    }
}

fn of_kind(kind: &str, text: &str) -> Result<NamedPrincipal, Reason> {
    let bad = || Reason::text("a principal", text);
    let plain = |extra: &[u8]| {
        let allowed =
            |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b) || extra.contains(&b);
        (1..=2048).contains(&text.len()) && text.bytes().all(allowed)
    };
    match kind {
        "AWS" => NamedPrincipal::parse_aws(text),
        "Service" if plain(b"") && text.contains('.') => {
            Ok(NamedPrincipal::Service(text.to_owned()))
        }
        "Federated" if plain(b":/+=,@") => Ok(NamedPrincipal::Federated(text.to_owned())),
        "CanonicalUser" if plain(b"") => Ok(NamedPrincipal::CanonicalUser(text.to_owned())),
        "Service" | "Federated" | "CanonicalUser" => Err(bad()),
        _ => Err(Reason::Unknown),
    }
}
