//! The policy language once more, read from its description: slow, without compiling anything,
//! and without a line of the crate's.

use serde_json::{Map, Value};

use super::{Answer, Case, GivenGrant, Who};

pub fn answer(case: &Case) -> Answer {
    let identity: Vec<_> = case.identity.iter().collect();
    let session: Vec<_> = case.session.iter().collect();
    let boundary: Vec<_> = case.boundary.iter().collect();
    let key: Vec<_> = case.key.iter().collect();
    // Step 2: an explicit deny in any policy.
    let all = [&identity, &session, &boundary, &key];
    if all.iter().any(|documents| !matching(case, documents, "Deny").is_empty()) {
        return Answer::ExplicitDeny;
    }
    // Step 3: what only limits.
    let limits = (boundary.is_empty() || !matching(case, &boundary, "Allow").is_empty())
        && (session.is_empty() || !matching(case, &session, "Allow").is_empty());
    let root = matches!(case.who, Who::Root(_));
    let own = root || !matching(case, &identity, "Allow").is_empty();
    let home = account(&case.who) == Some(case.owner);
    // Those who have no account and no policies are allowed by being named.
    let service =
        matches!(case.who, Who::Service(_)) || (case.trust && matches!(case.who, Who::Provider(_)));
    let yes = |condition| if condition { Answer::Allow } else { Answer::ImplicitDeny };
    if case.key.is_none() {
        return yes(home && own && limits);
    }
    // Step 4a and 4b.
    for statement in matching(case, &key, "Allow") {
        let named = |test: &dyn Fn(&str, &str) -> bool| lists(&statement["Principal"], test);
        let unlimited = named(&|kind, text| kind == "AWS" && itself(case, text));
        let direct = named(&|kind, text| match kind {
            "AWS" if text == "*" => account(&case.who).is_some(),
            "AWS" => itself(case, text) || is_role(case, text) || (root && is_account(case, text)),
            _ => service && is_other(case, kind, text),
        });
        let foreign = !home && !service;
        if unlimited && !foreign {
            return Answer::Allow;
        }
        if limits && (own || (direct && !foreign)) {
            return Answer::Allow;
        }
    }
    // Step 4c.
    let granted = !case.trust
        && case.grants.iter().filter(|grant| covers(case, grant)).any(|grant| {
            let by_account = is_account(case, &grant.grantee) && !root;
            limits && (!by_account || own)
        });
    yes(granted)
}

fn account(who: &Who) -> Option<&'static str> {
    match who {
        Who::Root(a) | Who::User(a, _) | Who::Role(a, _) | Who::Session(a, ..) => Some(a),
        _ => None,
    }
}

/// Whether a text names the user or the session.
fn itself(case: &Case, text: &str) -> bool {
    match &case.who {
        Who::User(a, name) => {
            text == format!("arn:aws:iam::{a}:user/{name}") || Some(text) == case.unique_id
        }
        Who::Session(a, role, session) => {
            let role = role.split('/').next_back().unwrap();
            text == format!("arn:aws:sts::{a}:assumed-role/{role}/{session}")
        }
        _ => false,
    }
}

fn is_role(case: &Case, text: &str) -> bool {
    match &case.who {
        Who::Role(a, role) | Who::Session(a, role, _) => {
            text == format!("arn:aws:iam::{a}:role/{role}") || Some(text) == case.unique_id
        }
        _ => false,
    }
}

fn is_account(case: &Case, text: &str) -> bool {
    account(&case.who).is_some_and(|a| text == a || text == format!("arn:aws:iam::{a}:root"))
}

fn is_other(case: &Case, kind: &str, text: &str) -> bool {
    match &case.who {
        Who::Service(name) => kind == "Service" && text == *name,
        Who::Provider(name) => kind == "Federated" && text == *name,
        _ => false,
    }
}

fn values(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => vec![],
        one => vec![one],
    }
}

fn lists(element: &Value, test: &dyn Fn(&str, &str) -> bool) -> bool {
    match element {
        Value::String(text) => test("AWS", text),
        Value::Object(kinds) => kinds.iter().any(|(kind, list)| {
            values(list).iter().any(|value| test(kind, value.as_str().unwrap()))
        }),
        _ => false,
    }
}

/// The statements of this effect that apply.
fn matching<'a>(case: &Case, documents: &[&'a Value], effect: &str) -> Vec<&'a Value> {
    let mut found = vec![];
    for document in documents {
        let variables = document["Version"] == "2012-10-17";
        for statement in values(&document["Statement"]) {
            if statement["Effect"] == effect && applies(case, statement, variables) {
                found.push(statement);
            }
        }
    }
    found
}

fn applies(case: &Case, statement: &Value, variables: bool) -> bool {
    let has = |name| statement.get(name).is_some();
    // A trust policy is about the role that has it.
    let of_role = case.trust && (has("Principal") || has("NotPrincipal"));
    let somewhere = has("Resource") || has("NotResource") || of_role;
    if !(has("Action") || has("NotAction")) || !somewhere {
        return false;
    }
    if has("Principal") {
        let named = lists(&statement["Principal"], &|kind, text| match kind {
            "AWS" => {
                text == "*" || itself(case, text) || is_role(case, text) || is_account(case, text)
            }
            _ => is_other(case, kind, text),
        });
        if !named {
            return false;
        }
    }
    if has("NotPrincipal") && exempt(case, &statement["NotPrincipal"]) {
        return false;
    }
    let action = |value: &&Value| {
        let pattern = value.as_str().unwrap().to_lowercase();
        glob(&tokens(case, &pattern, true, false).unwrap(), &case.action.to_lowercase())
    };
    let acts = |name: &str| values(&statement[name]).iter().any(action);
    if (has("Action") && !acts("Action")) || (has("NotAction") && acts("NotAction")) {
        return false;
    }
    let resource = |value: &&Value| {
        tokens(case, &completed(value.as_str().unwrap()), true, variables)
            .map(|pattern| glob(&pattern, case.resource))
    };
    let results = |name: &str| values(&statement[name]).iter().map(resource).collect::<Vec<_>>();
    if has("Resource") && !results("Resource").contains(&Some(true)) {
        return false;
    }
    // Unknown is neither a match nor the lack of one.
    if has("NotResource") && results("NotResource").iter().any(|result| *result != Some(false)) {
        return false;
    }
    match statement.get("Condition") {
        Some(Value::Object(operators)) => operators.iter().all(|(operator, block)| {
            let block: &Map<_, _> = block.as_object().unwrap();
            block.iter().all(|(key, list)| condition(case, operator, key, list, variables))
        }),
        _ => true,
    }
}

/// Account, role and session must all be listed.
fn exempt(case: &Case, element: &Value) -> bool {
    let listed = |test: &dyn Fn(&Case, &str) -> bool| {
        lists(element, &|kind, text| kind == "AWS" && test(case, text))
    };
    if listed(&|_, text| text == "*") {
        return true;
    }
    match &case.who {
        Who::Root(_) => listed(&is_account),
        Who::User(..) => listed(&is_account) && listed(&itself),
        Who::Role(..) => listed(&is_account) && listed(&is_role),
        Who::Session(..) => listed(&is_account) && listed(&is_role) && listed(&itself),
        _ => lists(element, &|kind, text| is_other(case, kind, text)),
    }
}

fn completed(arn: &str) -> String {
    if arn == "*" {
        return arn.to_owned();
    }
    // The colons inside variables are none.
    let mut depth = 0;
    let mut colons = 0;
    for c in arn.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ':' if depth == 0 => colons += 1,
            _ => {}
        }
    }
    let mut arn = arn.to_owned();
    while colons < 5 {
        arn.push_str(":*");
        colons += 1;
    }
    arn
}

#[derive(Clone, Copy, PartialEq)]
enum Token {
    /// A character, and whether it came out of a variable.
    Is(char, bool),
    One,
    Any,
}

fn tokens(case: &Case, text: &str, wildcards: bool, variables: bool) -> Option<Vec<Token>> {
    let mut out = vec![];
    let chars: Vec<char> = text.chars().collect();
    let mut i = 0;
    while i < chars.len() {
        if variables && chars[i] == '$' && chars.get(i + 1) == Some(&'{') {
            let end = i + chars[i..].iter().position(|c| *c == '}').unwrap();
            let inside: String = chars[i + 2..end].iter().collect();
            let value = match inside.as_str() {
                "*" | "?" | "$" => inside,
                _ => substitute(case, &inside)?,
            };
            out.extend(value.chars().map(|c| Token::Is(c, true)));
            i = end + 1;
            continue;
        }
        out.push(match chars[i] {
            '*' if wildcards => Token::Any,
            '?' if wildcards => Token::One,
            c => Token::Is(c, false),
        });
        i += 1;
    }
    Some(out)
}

fn substitute(case: &Case, inside: &str) -> Option<String> {
    let mut parts = inside.splitn(2, ',');
    let key = parts.next().unwrap().trim();
    let default = parts.next().map(|text| text.trim().trim_matches('\'').to_owned());
    match lookup(case, key) {
        Some((values, _)) if values.len() == 1 => Some(values[0].clone()),
        _ => default,
    }
}

fn lookup(case: &Case, key: &str) -> Option<(Vec<String>, bool)> {
    let found: Vec<_> =
        case.context.iter().filter(|(k, ..)| k.to_lowercase() == key.to_lowercase()).collect();
    let values: Vec<String> = found.iter().flat_map(|(_, values, _)| values.clone()).collect();
    let default = found.iter().any(|(_, _, default)| *default);
    if values.is_empty() { None } else { Some((values, default)) }
}

fn glob(pattern: &[Token], text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    glob_chars(pattern, &chars)
}

fn glob_chars(pattern: &[Token], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((Token::Any, rest)) => (0..=text.len()).any(|skip| glob_chars(rest, &text[skip..])),
        Some((Token::One, rest)) => !text.is_empty() && glob_chars(rest, &text[1..]),
        Some((Token::Is(c, _), rest)) => text.first() == Some(c) && glob_chars(rest, &text[1..]),
    }
}

fn condition(case: &Case, operator: &str, key: &str, list: &Value, variables: bool) -> bool {
    let texts: Vec<String> = values(list)
        .iter()
        .map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
        .collect();
    let present = lookup(case, key);
    if operator == "Null" {
        let hidden = ["kms:bypasspolicylockoutsafetycheck", "kms:expirationmodel"];
        let absent = match &present {
            None => true,
            Some((_, default)) => *default && hidden.contains(&key.to_lowercase().as_str()),
        };
        return texts.iter().any(|text| text.eq_ignore_ascii_case(&absent.to_string()));
    }
    let (for_all, rest) = strip(operator, "ForAllValues:");
    let (for_any, rest) = strip(rest, "ForAnyValue:");
    let if_exists = rest.ends_with("IfExists");
    let base = rest.trim_end_matches("IfExists");
    let negated = base.contains("Not");
    let base = base.replace("Not", "");
    let takes_variables = base.starts_with("String") || base.starts_with("Arn");
    let known: Vec<&String> = texts
        .iter()
        .filter(|text| !takes_variables || tokens(case, text, true, variables).is_some())
        .collect();
    if known.is_empty() || (negated && known.len() < texts.len()) {
        return false;
    }
    let Some((given, _)) = present else { return if_exists || for_all || (negated && !for_any) };
    let one = |given: &String| {
        known.iter().any(|text| compare(case, &base, given, text, variables)) != negated
    };
    if for_all || (negated && !for_any) { given.iter().all(one) } else { given.iter().any(one) }
}

fn strip<'a>(text: &'a str, prefix: &str) -> (bool, &'a str) {
    text.strip_prefix(prefix).map_or((false, text), |rest| (true, rest))
}

fn compare(case: &Case, base: &str, given: &str, wanted: &str, variables: bool) -> bool {
    let pattern = |wildcards| tokens(case, wanted, wildcards, variables).unwrap();
    let ordered = |a: Option<f64>, b: Option<f64>| {
        let (Some(a), Some(b)) = (a, b) else { return false };
        match base.trim_start_matches("Numeric").trim_start_matches("Date") {
            "Equals" => a == b,
            "LessThan" => a < b,
            "LessThanEquals" => a <= b,
            "GreaterThan" => a > b,
            "GreaterThanEquals" => a >= b,
            other => panic!("{other}"),
        }
    };
    match base {
        "StringEquals" => glob(&pattern(false), given),
        "StringEqualsIgnoreCase" => {
            let lower = |token| match token {
                Token::Is(c, _) => c.to_lowercase().collect::<String>(),
                _ => unreachable!(),
            };
            pattern(false).into_iter().map(lower).collect::<String>() == given.to_lowercase()
        }
        "StringLike" => glob(&pattern(true), given),
        "Bool" => {
            let given = given.to_lowercase();
            (given == "true" || given == "false") && given == wanted.to_lowercase()
        }
        "BinaryEquals" => given == wanted,
        "IpAddress" => in_network(given, wanted),
        "ArnEquals" | "ArnLike" => arn_like(&pattern(true), given),
        _ if base.starts_with("Numeric") => ordered(number(given), number(wanted)),
        _ if base.starts_with("Date") => ordered(seconds(given), seconds(wanted)),
        _ => panic!("{base}"),
    }
}

fn arn_like(pattern: &[Token], given: &str) -> bool {
    let parts: Vec<&str> = given.splitn(6, ':').collect();
    if parts.len() < 6 {
        return false;
    }
    if pattern == [Token::Any] {
        return true;
    }
    let sections: Vec<_> = pattern.splitn(6, |token| *token == Token::Is(':', false)).collect();
    sections.len() == 6 && sections.iter().zip(parts).all(|(pattern, part)| glob(pattern, part))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Only the forms that the cases use.
fn seconds(text: &str) -> Option<f64> {
    if let Some(seconds) = number(text) {
        return Some(seconds);
    }
    let field = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let mut days = day - 1;
    for past in 1970..year {
        days += if leap(past) { 366 } else { 365 };
    }
    for past in 1..month {
        days += match past {
            2 if leap(year) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
    }
    let mut seconds = days * 86_400;
    if text.len() > 10 {
        seconds += field(11, 13)? * 3600 + field(14, 16)? * 60 + field(17, 19)?;
    }
    if text.len() > 20 {
        let offset = field(20, 22)? * 3600 + field(23, 25)? * 60;
        seconds -= if text.contains('+') { offset } else { -offset };
    }
    Some(seconds as f64)
}

fn in_network(given: &str, network: &str) -> bool {
    let bits = |text: &str| -> Option<Vec<bool>> {
        let address: std::net::IpAddr = text.parse().ok()?;
        let bytes = match address {
            std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
            std::net::IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => v4.octets().to_vec(),
                None => v6.octets().to_vec(),
            },
        };
        Some(bytes.iter().flat_map(|byte| (0..8).rev().map(move |i| byte >> i & 1 == 1)).collect())
    };
    let (address, prefix) = match network.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse().unwrap()),
        None => (network, 128),
    };
    let (Some(given), Some(address)) = (bits(given), bits(address)) else { return false };
    given.len() == address.len() && given.iter().zip(&address).take(prefix).all(|(a, b)| a == b)
}

fn covers(case: &Case, grant: &GivenGrant) -> bool {
    let Some(operation) = case.action.strip_prefix("kms:") else { return false };
    let grantee = grant.grantee.as_str();
    let named = itself(case, grantee)
        || is_role(case, grantee)
        || is_account(case, grantee)
        || is_other(case, "Service", grantee);
    if !named || !grant.operations.contains(&operation) {
        return false;
    }
    let lower = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| (k.to_lowercase(), (*v).to_owned())).collect()
    };
    let given = lower(&case.encryption_context);
    let sorted = |mut pairs: Vec<(String, String)>| {
        pairs.sort();
        pairs
    };
    if operation != "DescribeKey" && operation != "RetireGrant" {
        if grant.equals.as_ref().is_some_and(|pairs| sorted(lower(pairs)) != sorted(given.clone()))
        {
            return false;
        }
        if grant.subset.as_ref().is_some_and(|p| !lower(p).iter().all(|pair| given.contains(pair)))
        {
            return false;
        }
    }
    let source = lookup(case, "aws:SourceArn").map(|(values, _)| values);
    operation == "RetireGrant"
        || grant.source_arn.is_none_or(|arn| source == Some(vec![arn.to_owned()]))
}
