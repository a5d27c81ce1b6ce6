//! Policy documents: read strictly, once, into the form that is evaluated.

use crate::caller::{NamedPrincipal, Principals};
use crate::condition::Condition;
use crate::error::{At, PolicyError, Reason};
use crate::json::Json;
use crate::pattern::{Pattern, Syntax};
use crate::trust;

/// What a policy is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A key: every statement says to whom it applies.
    Key,
    /// A user, group, role, boundary or session: it applies to whoever it is attached to.
    Identity,
    /// A role: every statement says who may take it on, and is about no other resource.
    Trust,
}

/// The largest key policy, in bytes.
pub const MAX_KEY_POLICY_BYTES: usize = 32_768;
/// The largest identity policy of any kind, in bytes, white space not counted. Some kinds have
/// smaller limits, which are the caller's to know.
pub const MAX_IDENTITY_POLICY_BYTES: usize = 10_240;
/// The largest trust policy of a role, in bytes, white space not counted.
pub const MAX_TRUST_POLICY_BYTES: usize = 2_048;
/// The largest text that is looked at.
const MAX_TEXT_BYTES: usize = 131_072;

/// A policy, ready to be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    kind: Kind,
    pub(crate) statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) sid: Option<String>,
    pub(crate) effect: Effect,
    /// `None` in identity policies.
    pub(crate) principals: Option<Principals>,
    /// A key policy may leave actions or resource out; the statement does nothing then. A trust
    /// policy is about the role that has it, so that its resources are any.
    pub(crate) actions: Option<Patterns>,
    pub(crate) resources: Option<Patterns>,
    pub(crate) conditions: Vec<Condition>,
}

/// What a statement does where it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies, whatever else allows.
    Deny,
}

/// An `Action`, `NotAction`, `Resource` or `NotResource` element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patterns {
    pub(crate) negated: bool,
    pub(crate) patterns: Vec<Pattern>,
}

impl Document {
    /// Reads and compiles a policy.
    ///
    /// # Errors
    /// Says what is wrong and where. To users it is a malformed policy document, except that a
    /// key or trust policy that is [`Reason::TooLarge`] exceeds a limit.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, PolicyError> {
        check_text(kind, text).map_err(|reason| At::Top.error(reason))?;
        let json = Json::parse(text)?;
        let top = At::Top;
        let (mut version, mut statements) = (None, None);
        for (name, value) in json.object(&top)? {
            let at = top.field(name);
            match name.as_str() {
                "Version" => version = Some(value.text(&at)?),
                "Id" => {
                    value.text(&at)?;
                }
                "Statement" => statements = Some(value),
                _ => return at.refuse(Reason::Unknown),
            }
        }
        let variables = match version {
            Some("2012-10-17") => true,
            // The older language, which is also the default, does not know variables.
            Some("2008-10-17") | None => false,
            Some(other) => {
                let reason = Reason::text("a version of the policy language", other);
                return top.field("Version").refuse(reason);
            }
        };
        let at = top.field("Statement");
        let statements = statements.ok_or_else(|| at.error(Reason::Missing))?;
        let read = |json: &Json, at: &At<'_>| Statement::parse(kind, json, at, variables);
        let document = Self { kind, statements: statements.one_or_many(&at, read)? };
        document.check_sids(&at)?;
        Ok(document)
    }

    /// The policies of IAM name each statement once.
    fn check_sids(&self, at: &At<'_>) -> Result<(), PolicyError> {
        if self.kind == Kind::Key {
            return Ok(());
        }
        let mut seen = std::collections::HashSet::new();
        for (index, statement) in self.statements.iter().enumerate() {
            if statement.sid.as_ref().is_some_and(|sid| !seen.insert(sid)) {
                return at.item(index).field("Sid").refuse(Reason::Duplicate);
            }
        }
        Ok(())
    }

    /// What the policy can be attached to.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A policy that denies everything to everybody: what stands in for a text that was a policy
    /// once and is none to this version.
    pub fn denying(kind: Kind) -> Self {
        let everybody = Principals { negated: false, named: vec![NamedPrincipal::Everybody] };
        let statement = Statement {
            sid: None,
            effect: Effect::Deny,
            principals: (kind != Kind::Identity).then_some(everybody),
            actions: Some(Patterns::any()),
            resources: Some(Patterns::any()),
            conditions: Vec::new(),
        };
        Self { kind, statements: vec![statement] }
    }

    /// All principals that it names, for whoever can tell whether they exist.
    pub fn principals(&self) -> impl Iterator<Item = &NamedPrincipal> {
        let principals =
            self.statements.iter().filter_map(|statement| statement.principals.as_ref());
        principals.flat_map(|principals| &principals.named)
    }

    /// The same policy, with each principal of an ARN that `id_of` knows named by its unique id:
    /// who comes later under the same name is somebody else.
    #[must_use]
    pub fn bound(mut self, id_of: impl Fn(&str) -> Option<String>) -> Self {
        let principals = self.statements.iter_mut().filter_map(|s| s.principals.as_mut());
        for named in principals.flat_map(|principals| &mut principals.named) {
            if let NamedPrincipal::Arn(arn) = named
                && let Some(id) = id_of(arn)
            {
                *named = NamedPrincipal::UniqueId(id);
            }
        }
        self
    }

    /// Whether the decision may depend on the request's [`Context`](crate::Context): whoever asks
    /// policies that do not ask may leave it empty.
    pub fn needs_context(&self) -> bool {
        let variables = |patterns: &Option<Patterns>| {
            let patterns = patterns.iter().flat_map(|patterns| &patterns.patterns);
            patterns.into_iter().any(Pattern::has_variables)
        };
        self.statements.iter().any(|statement| {
            !statement.conditions.is_empty()
                || variables(&statement.actions)
                || variables(&statement.resources)
        })
    }
}

fn check_text(kind: Kind, text: &str) -> Result<(), Reason> {
    let counted = || text.bytes().filter(|b| !b.is_ascii_whitespace()).count();
    let (size, limit) = match kind {
        Kind::Key => (text.len(), MAX_KEY_POLICY_BYTES),
        Kind::Identity => (counted(), MAX_IDENTITY_POLICY_BYTES),
        Kind::Trust => (counted(), MAX_TRUST_POLICY_BYTES),
    };
    if size > limit || text.len() > MAX_TEXT_BYTES {
        return Err(Reason::TooLarge(limit));
    }
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}');
    text.chars().find(|c| !allowed(*c)).map_or(Ok(()), |c| Err(Reason::Character(c)))
}

/// The elements of a statement as they were found.
#[derive(Default)]
struct Elements<'a> {
    sid: Option<&'a Json>,
    effect: Option<&'a Json>,
    principal: [Option<&'a Json>; 2],
    action: [Option<&'a Json>; 2],
    resource: [Option<&'a Json>; 2],
    condition: Option<&'a Json>,
}

impl<'a> Elements<'a> {
    fn parse(json: &'a Json, at: &At<'_>) -> Result<Self, PolicyError> {
        let mut elements = Self::default();
        for (name, value) in json.object(at)? {
            let element = match name.as_str() {
                "Sid" => &mut elements.sid,
                "Effect" => &mut elements.effect,
                "Principal" => &mut elements.principal[0],
                "NotPrincipal" => &mut elements.principal[1],
                "Action" => &mut elements.action[0],
                "NotAction" => &mut elements.action[1],
                "Resource" => &mut elements.resource[0],
                "NotResource" => &mut elements.resource[1],
                "Condition" => &mut elements.condition,
                _ => return at.field(name).refuse(Reason::Unknown),
            };
            *element = Some(value);
        }
        Ok(elements)
    }
}

impl Statement {
    fn parse(kind: Kind, json: &Json, at: &At<'_>, variables: bool) -> Result<Self, PolicyError> {
        let elements = Elements::parse(json, at)?;
        let effect = at.field("Effect");
        let effect = match elements.effect.ok_or_else(|| effect.error(Reason::Missing))? {
            Json::Text(text) if text == "Allow" => Effect::Allow,
            Json::Text(text) if text == "Deny" => Effect::Deny,
            _ => return effect.refuse(Reason::Type("Allow or Deny")),
        };
        let principals = principals(kind, effect, elements.principal, at)?;
        let needed = kind != Kind::Key;
        let actions = choose(elements.action, at, ["Action", "NotAction"], needed)?;
        let conditions = match elements.condition {
            Some(json) => Condition::parse_all(json, &at.field("Condition"), kind, variables)?,
            None => Vec::new(),
        };
        let (actions, resources) = if kind == Kind::Trust {
            trust::check(actions, elements.resource, at)?;
            (Patterns::parse(actions, at, trust::action)?, Some(Patterns::any()))
        } else {
            let needed = kind == Kind::Identity;
            let resources = choose(elements.resource, at, ["Resource", "NotResource"], needed)?;
            let resources = Patterns::parse(resources, at, |text| resource(text, variables))?;
            (Patterns::parse(actions, at, action)?, resources)
        };
        let sid = sid(kind, elements.sid, at)?;
        Ok(Self { sid, effect, principals, actions, resources, conditions })
    }
}

fn sid(kind: Kind, json: Option<&Json>, at: &At<'_>) -> Result<Option<String>, PolicyError> {
    let at = at.field("Sid");
    let Some(json) = json else { return Ok(None) };
    let text = json.text(&at)?;
    if kind != Kind::Key && !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return at.refuse(Reason::text("a statement id of letters and digits", text));
    }
    // An empty one identifies nothing.
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// An element that was found, with its name and whether it is the negated one of its pair.
pub(crate) type Chosen<'a> = Option<(&'a Json, &'static str, bool)>;

fn choose<'a>(
    pair: [Option<&'a Json>; 2],
    at: &At<'_>,
    [plain, negated]: [&'static str; 2],
    needed: bool,
) -> Result<Chosen<'a>, PolicyError> {
    match pair {
        [Some(_), Some(_)] => at.field(negated).refuse(Reason::Forbidden("its opposite is given")),
        [Some(json), None] => Ok(Some((json, plain, false))),
        [None, Some(json)] => Ok(Some((json, negated, true))),
        [None, None] if needed => at.field(plain).refuse(Reason::Missing),
        [None, None] => Ok(None),
    }
}

fn principals(
    kind: Kind,
    effect: Effect,
    pair: [Option<&Json>; 2],
    at: &At<'_>,
) -> Result<Option<Principals>, PolicyError> {
    let chosen = choose(pair, at, ["Principal", "NotPrincipal"], kind != Kind::Identity)?;
    let Some((json, name, negated)) = chosen else { return Ok(None) };
    let at = at.field(name);
    if kind == Kind::Identity {
        return at.refuse(Reason::Forbidden("an identity policy names no principals"));
    }
    if negated && effect == Effect::Allow {
        return at.refuse(Reason::Forbidden("NotPrincipal is for Deny only"));
    }
    Principals::parse(json, &at, negated).map(Some)
}

impl Patterns {
    /// What everything matches.
    fn any() -> Self {
        Self { negated: false, patterns: vec![Pattern::any()] }
    }

    fn parse(
        chosen: Chosen<'_>,
        at: &At<'_>,
        read: impl Fn(&str) -> Result<Pattern, Reason>,
    ) -> Result<Option<Self>, PolicyError> {
        let Some((json, name, negated)) = chosen else { return Ok(None) };
        let patterns = json.one_or_many(&at.field(name), |json, at| {
            read(json.text(at)?).map_err(|reason| at.error(reason))
        })?;
        Ok(Some(Self { negated, patterns }))
    }
}

/// `*` or `service:Name` with wildcards in the name. Actions are compared in lower case.
pub(crate) fn action(text: &str) -> Result<Pattern, Reason> {
    let well_formed = text == "*"
        || text.split_once(':').is_some_and(|(service, name)| {
            let named = |b: u8| b.is_ascii_alphanumeric() || b == b'*' || b == b'?';
            !service.is_empty()
                && service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !name.is_empty()
                && name.bytes().all(named)
        });
    if !well_formed {
        return Err(Reason::text("an action", text));
    }
    let text = if crate::defect::planted(crate::defect::Defect::ActionCaseSensitive) {
        text.to_owned()
    } else {
        text.to_ascii_lowercase()
    };
    Pattern::parse(&text, Syntax { wildcards: true, variables: false })
}

/// `*` or an ARN, which may stop early: what it leaves out may be anything.
fn resource(text: &str, variables: bool) -> Result<Pattern, Reason> {
    let pattern = Pattern::parse(text, Syntax { wildcards: true, variables })?;
    if pattern.is_any() {
        return Ok(pattern);
    }
    let sections = pattern.sections(6);
    let named = |index: usize| sections.get(index).is_some_and(|section| !section.is_empty());
    let well_formed = sections[0].is_literal("arn")
        && [1, 2].into_iter().all(named)
        && (sections.len() < 6 || named(5));
    if !well_formed {
        return Err(Reason::text("a resource ARN or *", text));
    }
    Ok(pattern.complete(6 - sections.len()))
}
