//! One key of one operator of a `Condition` element.

use std::net::IpAddr;

use keystead_types::Network;

use crate::context::Context;
use crate::defect::{Defect, planted};
use crate::document::Kind;
use crate::error::{At, PolicyError, Reason};
use crate::json::Json;
use crate::keys;
use crate::pattern::{Pattern, Syntax};
use crate::value::{self, Decimal};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    /// As written, for explanations.
    pub(crate) operator: String,
    pub(crate) key: String,
    lookup: String,
    quantifier: Quantifier,
    if_exists: bool,
    test: Test,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    None,
    ForAll,
    ForAny,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// Which of being absent and being present will do.
    Null(Vec<bool>),
    Match {
        negated: bool,
        values: Values,
    },
}

/// The policy's side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Values {
    Text(Vec<Pattern>),
    TextIgnoringCase(Vec<Pattern>),
    Number(Order, Vec<Decimal>),
    Date(Order, Vec<Decimal>),
    Bool(Vec<bool>),
    Binary(Vec<String>),
    Ip(Vec<Network>),
    Arn(Vec<ArnPattern>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// `*`, or six sections each with a pattern of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ArnPattern(Vec<Pattern>);

/// What the name of an operator says, without its prefix and suffix.
#[derive(Debug, Clone, Copy)]
enum Family {
    Text { like: bool, ignore_case: bool },
    Number(Order),
    Date(Order),
    Bool,
    Binary,
    Ip,
    Arn,
}

fn family(name: &str) -> Option<(Family, bool)> {
    use Order::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    const EXACT: Family = Family::Text { like: false, ignore_case: false };
    const FOLDED: Family = Family::Text { like: false, ignore_case: true };
    const LIKE: Family = Family::Text { like: true, ignore_case: false };
    let (family, negated) = match name {
        "StringEquals" => (EXACT, false),
        "StringNotEquals" => (EXACT, true),
        "StringEqualsIgnoreCase" => (FOLDED, false),
        "StringNotEqualsIgnoreCase" => (FOLDED, true),
        "StringLike" => (LIKE, false),
        "StringNotLike" => (LIKE, true),
        "NumericEquals" => (Family::Number(Equal), false),
        "NumericNotEquals" => (Family::Number(Equal), true),
        "NumericLessThan" => (Family::Number(Less), false),
        "NumericLessThanEquals" => (Family::Number(LessOrEqual), false),
        "NumericGreaterThan" => (Family::Number(Greater), false),
        "NumericGreaterThanEquals" => (Family::Number(GreaterOrEqual), false),
        "DateEquals" => (Family::Date(Equal), false),
        "DateNotEquals" => (Family::Date(Equal), true),
        "DateLessThan" => (Family::Date(Less), false),
        "DateLessThanEquals" => (Family::Date(LessOrEqual), false),
        "DateGreaterThan" => (Family::Date(Greater), false),
        "DateGreaterThanEquals" => (Family::Date(GreaterOrEqual), false),
        "Bool" => (Family::Bool, false),
        "BinaryEquals" => (Family::Binary, false),
        "IpAddress" => (Family::Ip, false),
        "NotIpAddress" => (Family::Ip, true),
        "ArnEquals" | "ArnLike" => (Family::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Family::Arn, true),
        _ => return None,
    };
    Some((family, negated))
}

impl Condition {
    /// Reads a whole `Condition` element.
    pub(crate) fn parse_all(
        json: &Json,
        at: &At<'_>,
        kind: Kind,
        variables: bool,
    ) -> Result<Vec<Self>, PolicyError> {
        let mut conditions = Vec::new();
        for (operator, block) in json.object(at)? {
            let at = at.field(operator);
            for (key, values) in block.object(&at)? {
                let at = at.field(key);
                keys::check(kind, key).map_err(|reason| at.error(reason))?;
                conditions.push(Self::parse(operator, key, values, &at, variables)?);
            }
        }
        Ok(conditions)
    }

    fn parse(
        operator: &str,
        key: &str,
        values: &Json,
        at: &At<'_>,
        variables: bool,
    ) -> Result<Self, PolicyError> {
        let unknown = || at.error(Reason::text("a condition operator", operator));
        let (quantifier, rest) = match operator.split_once(':') {
            None => (Quantifier::None, operator),
            Some(("ForAllValues", rest)) => (Quantifier::ForAll, rest),
            Some(("ForAnyValue", rest)) => (Quantifier::ForAny, rest),
            Some(_) => return Err(unknown()),
        };
        let (name, if_exists) = match rest.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (rest, false),
        };
        if quantifier == Quantifier::ForAll && keys::refuses_for_all(key) {
            return at.refuse(Reason::OverlyPermissive);
        }
        let test = if operator == "Null" {
            Test::Null(values.one_or_many(at, boolean)?)
        } else {
            let (family, negated) = family(name).ok_or_else(unknown)?;
            Test::Match { negated, values: Values::parse(family, values, at, variables)? }
        };
        let lookup = key.to_lowercase();
        let (operator, key) = (operator.to_owned(), key.to_owned());
        Ok(Self { operator, key, lookup, quantifier, if_exists, test })
    }

    pub(crate) fn holds(&self, context: &Context) -> bool {
        let entry = context.entry(&self.lookup);
        let (negated, values) = match &self.test {
            Test::Null(wanted) => {
                let absent = entry.is_none_or(|entry| {
                    entry.defaulted
                        && keys::null_ignores_default(&self.key)
                        && !planted(Defect::NullSeesDefault)
                });
                return wanted.contains(&(absent != planted(Defect::NullInverted)));
            }
            Test::Match { negated, values } => (*negated, values),
        };
        let (resolved, unresolved) = values.variables(context);
        if !resolved || (negated && unresolved && !planted(Defect::UnresolvedIgnored)) {
            return false;
        }
        let Some(entry) = entry else { return self.holds_without_key(negated) };
        let holds = |value: &String| {
            let negated = negated && !planted(Defect::NegationLost);
            values.any_matches(value, context) != negated
        };
        let mut given = entry.values.iter();
        match self.quantifier {
            Quantifier::ForAll if planted(Defect::ForAllIsForAny) => given.any(holds),
            Quantifier::ForAny if planted(Defect::ForAnyIsForAll) => given.all(holds),
            Quantifier::ForAll => given.all(holds),
            Quantifier::ForAny => given.any(holds),
            // Several values without a quantifier: the negation of an operator must stay its
            // exact opposite.
            Quantifier::None if negated => given.all(holds),
            Quantifier::None => given.any(holds),
        }
    }

    fn holds_without_key(&self, negated: bool) -> bool {
        if self.if_exists {
            return !planted(Defect::IfExistsIgnored);
        }
        match self.quantifier {
            Quantifier::ForAll => !planted(Defect::ForAllMissingFalse),
            Quantifier::ForAny => planted(Defect::ForAnyMissingTrue),
            Quantifier::None => negated != planted(Defect::MissingKeyInverted),
        }
    }
}

impl Values {
    fn parse(
        family: Family,
        json: &Json,
        at: &At<'_>,
        variables: bool,
    ) -> Result<Self, PolicyError> {
        let syntax = |wildcards| Syntax { wildcards, variables };
        let pattern = |syntax| move |text: &str| Pattern::parse(text, syntax);
        Ok(match family {
            Family::Text { like, ignore_case: false } => {
                Self::Text(each(json, at, pattern(syntax(like)))?)
            }
            Family::Text { ignore_case: true, .. } => {
                Self::TextIgnoringCase(each(json, at, pattern(syntax(false)))?)
            }
            Family::Number(order) => {
                Self::Number(order, each(json, at, typed("a number", value::decimal))?)
            }
            Family::Date(order) => {
                Self::Date(order, each(json, at, typed("a date", value::instant))?)
            }
            Family::Bool => Self::Bool(json.one_or_many(at, boolean)?),
            Family::Binary => {
                let read = |text: &str| value::is_base64(text).then(|| text.to_owned());
                Self::Binary(each(json, at, typed("base64", read))?)
            }
            Family::Ip => {
                Self::Ip(each(json, at, typed("an address range", |text| text.parse().ok()))?)
            }
            Family::Arn => Self::Arn(each(json, at, |text| ArnPattern::parse(text, syntax(true)))?),
        })
    }

    /// Whether the variables of any value, and whether those of not every value, are known. A
    /// value with an unknown variable matches nothing, and nothing can be said not to match it.
    fn variables(&self, context: &Context) -> (bool, bool) {
        let (mut any, mut missing) = (false, false);
        let mut see = |known| if known { any = true } else { missing = true };
        match self {
            Self::Text(patterns) | Self::TextIgnoringCase(patterns) => {
                patterns.iter().for_each(|pattern| see(pattern.resolvable(context)));
            }
            Self::Arn(patterns) => patterns.iter().for_each(|pattern| {
                see(pattern.0.iter().all(|section| section.resolvable(context)));
            }),
            _ => see(true),
        }
        (any, missing)
    }

    fn any_matches(&self, given: &str, context: &Context) -> bool {
        match self {
            Self::Text(patterns) => patterns.iter().any(|pattern| {
                pattern.matches(given, context)
                    || (planted(Defect::StringsIgnoreCase)
                        && pattern.expand(context).is_some_and(|text| same_text(&text, given)))
            }),
            Self::TextIgnoringCase(patterns) => patterns.iter().any(|pattern| {
                pattern.expand(context).is_some_and(|text| {
                    if planted(Defect::IgnoreCaseExact) {
                        text == given
                    } else {
                        same_text(&text, given)
                    }
                })
            }),
            Self::Number(order, values) => value::decimal(given)
                .is_some_and(|given| values.iter().any(|value| order.holds(given, *value))),
            Self::Date(order, values) => value::instant(given)
                .is_some_and(|given| values.iter().any(|value| order.holds(given, *value))),
            Self::Bool(values) => {
                value::boolean(given).is_some_and(|given| values.contains(&given))
            }
            Self::Binary(values) => values.iter().any(|value| {
                value == given
                    || (planted(Defect::BinaryIgnoresCase) && value.eq_ignore_ascii_case(given))
            }),
            Self::Ip(networks) => given.parse::<IpAddr>().is_ok_and(|address| {
                networks.iter().any(|network| network.contains(address))
                    && !(planted(Defect::NoAddressSix) && address.is_ipv6())
            }),
            Self::Arn(patterns) => patterns.iter().any(|pattern| pattern.matches(given, context)),
        }
    }
}

fn same_text(one: &str, other: &str) -> bool {
    one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase))
}

fn each<T>(
    json: &Json,
    at: &At<'_>,
    read: impl Fn(&str) -> Result<T, Reason>,
) -> Result<Vec<T>, PolicyError> {
    json.one_or_many(at, |json, at| {
        let text = match json {
            Json::Text(text) | Json::Number(text) => text.as_str(),
            Json::Bool(true) => "true",
            Json::Bool(false) => "false",
            _ => return at.refuse(Reason::Type("a string, number or Boolean")),
        };
        read(text).map_err(|reason| at.error(reason))
    })
}

fn typed<T>(
    what: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> impl Fn(&str) -> Result<T, Reason> {
    move |text| read(text).ok_or_else(|| Reason::text(what, text))
}

fn boolean(json: &Json, at: &At<'_>) -> Result<bool, PolicyError> {
    match json {
        Json::Bool(value) => Ok(*value),
        Json::Text(text) => {
            value::boolean(text).ok_or_else(|| at.error(Reason::text("true or false", text)))
        }
        _ => at.refuse(Reason::Type("true or false")),
    }
}

impl Order {
    fn holds(self, given: Decimal, value: Decimal) -> bool {
        match self {
            Self::Equal => given == value,
            Self::Less if planted(Defect::LessIsLessOrEqual) => given <= value,
            Self::Less => given < value,
            Self::LessOrEqual => given <= value,
            Self::Greater => given > value,
            Self::GreaterOrEqual => given >= value,
        }
    }
}

impl ArnPattern {
    fn parse(text: &str, syntax: Syntax) -> Result<Self, Reason> {
        let whole = Pattern::parse(text, syntax)?;
        let sections = whole.sections(6);
        let well_formed = sections.len() == 6
            && sections[0].is_literal("arn")
            && ![1, 2, 5].into_iter().any(|section: usize| sections[section].is_empty());
        if whole.is_any() {
            Ok(Self(vec![whole]))
        } else if well_formed {
            Ok(Self(sections))
        } else {
            Err(Reason::text("an ARN", text))
        }
    }

    fn matches(&self, given: &str, context: &Context) -> bool {
        let mut sections = given.splitn(6, ':');
        if given.split(':').count() < 6 {
            return false;
        }
        if let [all] = self.0.as_slice() {
            return all.matches(given, context);
        }
        self.0.iter().all(|pattern| {
            sections.next().is_some_and(|section| {
                if planted(Defect::ArnExact) {
                    pattern.is_literal(section)
                } else {
                    pattern.matches(section, context)
                }
            })
        })
    }
}
