//! The decision over all policies of a request.
//!
//! Every statement is looked at on every request, so that explaining a decision is the same run
//! with somebody watching.

use keystead_types::AccountId;

use crate::caller::{Caller, Named};
use crate::context::Context;
use crate::defect::{Defect, planted};
use crate::document::{Document, Effect, Kind, Patterns, Statement};
use crate::grant::Grant;

/// One question: may this caller do this, to this?
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The IAM action, such as `kms:Encrypt`.
    pub action: &'a str,
    /// The ARN of the resource, or `*` of an action on no resource.
    pub resource: &'a str,
    /// The account that owns the resource; of an action on no resource, the caller's own.
    pub owner: AccountId,
    /// What conditions and variables may ask about.
    pub context: &'a Context,
    /// The request's encryption context, for the constraints of grants.
    pub encryption_context: &'a [(&'a str, &'a str)],
}

/// A policy under the name that explanations give it.
#[derive(Debug, Clone, Copy)]
pub struct Attached<'a> {
    /// Such as the ARN or name of the policy.
    pub name: &'a str,
    /// The policy.
    pub document: &'a Document,
}

/// All that may allow or deny a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policies<'a> {
    /// The resource's own policy: a key's, or of a role its trust policy; `None` for a resource
    /// that has none, or that does not exist.
    pub key: Option<&'a Document>,
    /// The caller's: its own, those attached to it, and its groups'.
    pub identity: &'a [Attached<'a>],
    /// The caller's permissions boundary.
    pub boundary: Option<Attached<'a>>,
    /// Those that its session was made with. Any of them may allow.
    pub session: &'a [Attached<'a>],
    /// The key's grants, or those of them that may matter.
    pub grants: &'a [Grant<'a>],
}

/// The role in which a policy takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The key's policy.
    Key,
    /// The role's trust policy.
    Trust,
    /// A policy of the caller.
    Identity,
    /// The caller's permissions boundary.
    Boundary,
    /// A policy of the caller's session.
    Session,
}

/// A statement of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementRef<'a> {
    /// Whose policy.
    pub source: Source,
    /// The name of the policy; empty for the resource's own.
    pub document: &'a str,
    /// The place among the statements, from zero.
    pub index: usize,
    /// The statement's own name.
    pub sid: Option<&'a str>,
}

/// What can allow or deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By<'a> {
    /// A statement of a policy.
    Statement(StatementRef<'a>),
    /// A grant, by id.
    Grant(&'a str),
    /// Being the account itself.
    Root,
}

/// The answer, and what gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Allowed.
    Allow {
        /// By what on the key's side, or if the resource has no policy, on the caller's.
        by: By<'a>,
        /// By what on the caller's side, where that was needed too.
        and: Option<By<'a>>,
    },
    /// Denied by a statement. Those of the caller's own side are named first.
    ExplicitDeny(StatementRef<'a>),
    /// Not allowed.
    ImplicitDeny(Missing),
}

/// What would have to allow a request that nothing denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The resource's own policy, or a grant.
    Key,
    /// An identity policy.
    Identity,
    /// The permissions boundary.
    Boundary,
    /// A session policy.
    Session,
}

/// Why a statement or grant does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss<'a> {
    /// It has no actions or no resources.
    Inert,
    /// It is about others.
    Principal,
    /// It is about other actions.
    Action,
    /// It is about other resources.
    Resource,
    /// This condition does not hold.
    Condition {
        /// The operator as written.
        operator: &'a str,
        /// The key as written.
        key: &'a str,
    },
    /// A grant's constraint on the encryption context is not met.
    EncryptionContext,
    /// A grant is for another source.
    SourceArn,
}

/// One statement or grant in an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// Which.
    pub by: By<'a>,
    /// What it would do.
    pub effect: Effect,
    /// Why it did not apply, if it did not.
    pub miss: Option<Miss<'a>>,
}

impl Verdict<'_> {
    /// Whether the request may go on.
    pub fn is_allow(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }
}

/// Decides.
pub fn decide<'a>(query: &Query<'_>, policies: &Policies<'a>) -> Verdict<'a> {
    judge(query, policies, |_| {})
}

/// Decides, and tells what each statement and grant had to do with it.
pub fn explain<'a>(query: &Query<'_>, policies: &Policies<'a>) -> (Verdict<'a>, Vec<Step<'a>>) {
    let mut steps = Vec::new();
    let verdict = judge(query, policies, |step| steps.push(step));
    (verdict, steps)
}

/// Whether the caller could put a key policy again if `policies.key` were the key's policy. The
/// action asked about and the grants do not matter.
pub fn can_put_key_policy(query: &Query<'_>, policies: &Policies<'_>) -> bool {
    let mut context = query.context.clone();
    context.remove("kms:PolicyName");
    context.add("kms:PolicyName", "default");
    let query = Query { action: "kms:PutKeyPolicy", context: &context, ..*query };
    decide(&query, &Policies { grants: &[], ..*policies }).is_allow()
}

/// What the statements of one source, or the grants, say.
#[derive(Default, Clone, Copy)]
struct Found<'a> {
    deny: Option<StatementRef<'a>>,
    /// The first that allows, by how closely it names the caller.
    by_account: Option<By<'a>>,
    directly: Option<By<'a>>,
    itself: Option<By<'a>>,
}

impl<'a> Found<'a> {
    fn allow(&mut self, named: Named, by: By<'a>) {
        let slot = match named {
            Named::ByAccount => &mut self.by_account,
            Named::Directly => &mut self.directly,
            Named::Itself => &mut self.itself,
        };
        slot.get_or_insert(by);
    }
}

/// A request on its way through the statements.
struct Run<'q, 'w, W> {
    query: &'q Query<'q>,
    action: String,
    watch: &'w mut W,
}

/// What the caller's boundary or session lacks that would let the request pass, if anything.
pub(crate) fn limit(query: &Query<'_>, policies: &Policies<'_>) -> Option<Missing> {
    let mut unwatched = |_: Step<'_>| {};
    let mut run = Run::new(query, &mut unwatched);
    let boundary = run.scan(Source::Boundary, policies.boundary.as_slice());
    let session = run.scan(Source::Session, policies.session);
    let limits = Limits::of(policies, boundary, session);
    let (boundary, session) = (limits.boundary, limits.session);
    (!boundary).then_some(Missing::Boundary).or((!session).then_some(Missing::Session))
}

fn judge<'a>(
    query: &Query<'_>,
    policies: &Policies<'a>,
    mut watch: impl FnMut(Step<'a>),
) -> Verdict<'a> {
    let mut run = Run::new(query, &mut watch);
    let identity = run.scan(Source::Identity, policies.identity);
    let boundary = run.scan(Source::Boundary, policies.boundary.as_slice());
    let session = run.scan(Source::Session, policies.session);
    let key = policies.key.map(|document| Attached { name: "", document });
    let kind = policies.key.map(Document::kind);
    let source = if kind == Some(Kind::Trust) { Source::Trust } else { Source::Key };
    let key = run.scan(source, key.as_slice());
    let grants = run.grants(policies.grants);

    let denials = [
        identity.deny.filter(|_| !planted(Defect::IdentityDenyIgnored)),
        boundary.deny.filter(|_| !planted(Defect::BoundaryDenyIgnored)),
        session.deny,
        key.deny.filter(|_| !planted(Defect::KeyPolicyDenyIgnored)),
    ];
    let spared = planted(Defect::GrantBeatsDeny) && grants.directly.or(grants.itself).is_some();
    if let Some(statement) = denials.into_iter().flatten().next().filter(|_| !spared) {
        return Verdict::ExplicitDeny(statement);
    }
    let limits = Limits::of(policies, boundary, session);
    let boundary_grants = boundary.directly.filter(|_| planted(Defect::BoundaryGrants));
    let own = if query.caller.is_root() && !planted(Defect::ForeignRootNeedsPolicy) {
        Some(By::Root)
    } else {
        identity.directly.or(boundary_grants)
    };
    let ways = ways(query, kind.map(|kind| (kind, key)), grants, own);
    settle(&ways, own, limits)
}

/// Whether what can only limit lets the request pass.
#[derive(Clone, Copy)]
struct Limits {
    boundary: bool,
    session: bool,
}

impl Limits {
    fn of(policies: &Policies<'_>, boundary: Found<'_>, session: Found<'_>) -> Self {
        Self {
            boundary: policies.boundary.is_none()
                || boundary.directly.is_some()
                || planted(Defect::BoundaryIgnored),
            session: policies.session.is_empty()
                || session.directly.is_some()
                || planted(Defect::SessionPolicyIgnored),
        }
    }
}

/// One way to be allowed: by what, and what else it takes.
struct Way<'a> {
    by: Option<By<'a>>,
    needs_own: bool,
    limited: bool,
}

fn ways<'a>(
    query: &Query<'_>,
    key: Option<(Kind, Found<'a>)>,
    grants: Found<'a>,
    own: Option<By<'a>>,
) -> Vec<Way<'a>> {
    let at_home = query.caller.account() == Some(query.owner);
    let Some((kind, key)) = key else {
        // What no key policy protects is for the owning account's policies alone.
        let by = own.filter(|_| at_home);
        return vec![Way { by, needs_own: false, limited: true }];
    };
    // Whoever belongs to no account has no policies of its own that could allow anything.
    let of_no_account =
        query.caller.is_service() || (kind == Kind::Trust && query.caller.is_provider());
    let foreign = !at_home && !of_no_account && !planted(Defect::CrossAccountOneSide);
    let delegated = if planted(Defect::AccountNotDelegated) { None } else { key.by_account };
    let undelegated = own.filter(|_| planted(Defect::IdentityWithoutDelegation) && at_home);
    let bound = foreign || planted(Defect::UserBoundByBoundary);
    let role_bound = !planted(Defect::RoleFreeOfBoundary);
    let grant_bound = !planted(Defect::GrantBeatsBoundary);
    vec![
        Way { by: key.itself, needs_own: foreign, limited: bound },
        Way { by: key.directly, needs_own: foreign, limited: foreign || role_bound },
        Way { by: delegated.or(undelegated), needs_own: true, limited: true },
        Way { by: grants.itself.or(grants.directly), needs_own: false, limited: grant_bound },
        Way { by: grants.by_account, needs_own: true, limited: true },
    ]
}

/// Takes the first way that is open, or tells what the last attempt lacked.
fn settle<'a>(ways: &[Way<'a>], own: Option<By<'a>>, limits: Limits) -> Verdict<'a> {
    let mut missing = Missing::Key;
    if let [Way { needs_own: false, by: None, .. }] = ways {
        missing = Missing::Identity;
    }
    for way in ways {
        let Some(by) = way.by else { continue };
        if way.needs_own && own.is_none() {
            missing = Missing::Identity;
        } else if way.limited && !limits.boundary {
            missing = Missing::Boundary;
        } else if way.limited && !limits.session {
            missing = Missing::Session;
        } else {
            return Verdict::Allow { by, and: own.filter(|_| way.needs_own) };
        }
    }
    Verdict::ImplicitDeny(missing)
}

impl<'q, 'w, W> Run<'q, 'w, W> {
    fn new(query: &'q Query<'q>, watch: &'w mut W) -> Self {
        let action = if planted(Defect::ActionCaseSensitive) {
            query.action.to_owned()
        } else {
            query.action.to_ascii_lowercase()
        };
        Self { query, action, watch }
    }
}

impl<W> Run<'_, '_, W> {
    fn scan<'a>(&mut self, source: Source, documents: &[Attached<'a>]) -> Found<'a>
    where
        W: FnMut(Step<'a>),
    {
        let mut found = Found::default();
        for Attached { name, document } in documents {
            for (index, statement) in document.statements.iter().enumerate() {
                let sid = statement.sid.as_deref();
                let place = StatementRef { source, document: name, index, sid };
                let by = By::Statement(place);
                let applies = self.applies(statement);
                let (effect, miss) = (statement.effect, applies.err());
                (self.watch)(Step { by, effect, miss });
                match (applies, effect) {
                    (Ok(_), Effect::Deny) => {
                        found.deny.get_or_insert(place);
                    }
                    (Ok(named), Effect::Allow) => found.allow(named, by),
                    (Err(_), _) => {}
                }
            }
        }
        found
    }

    fn grants<'a>(&mut self, grants: &[Grant<'a>]) -> Found<'a>
    where
        W: FnMut(Step<'a>),
    {
        let mut found = Found::default();
        for grant in grants {
            let by = By::Grant(grant.id);
            let covers = grant.covers(self.query);
            (self.watch)(Step { by, effect: Effect::Allow, miss: covers.err() });
            if let Ok(named) = covers {
                found.allow(named, by);
            }
        }
        found
    }

    /// The cheap questions first.
    fn applies<'a>(&self, statement: &'a Statement) -> Result<Named, Miss<'a>> {
        let context = self.query.context;
        let inert = statement.actions.is_none() || statement.resources.is_none();
        if inert && !planted(Defect::InertStatementsAct) {
            return Err(Miss::Inert);
        }
        if !statement.actions.as_ref().is_none_or(|actions| {
            actions.apply(&self.action, context, planted(Defect::NotActionPlain))
        }) {
            return Err(Miss::Action);
        }
        // An identity policy is about whoever it is attached to.
        let named = match &statement.principals {
            None => Named::Directly,
            Some(principals) => principals.names(self.query.caller).ok_or(Miss::Principal)?,
        };
        if !statement.resources.as_ref().is_none_or(|resources| {
            resources.apply(self.query.resource, context, planted(Defect::NotResourcePlain))
        }) {
            return Err(Miss::Resource);
        }
        let mut conditions = statement.conditions.iter();
        let looked_at = if planted(Defect::OnlyFirstCondition) { 1 } else { usize::MAX };
        match conditions.by_ref().take(looked_at).find(|condition| !condition.holds(context)) {
            None => Ok(named),
            Some(failed) => Err(Miss::Condition { operator: &failed.operator, key: &failed.key }),
        }
    }
}

impl Patterns {
    /// A pattern with an unknown variable matches nothing, and nothing is known not to match it.
    pub(crate) fn apply(&self, text: &str, context: &Context, plain: bool) -> bool {
        let mut patterns = self.patterns.iter();
        if self.negated && !plain {
            patterns.all(|pattern| pattern.resolvable(context) && !pattern.matches(text, context))
        } else {
            patterns.any(|pattern| pattern.matches(text, context))
        }
    }
}
