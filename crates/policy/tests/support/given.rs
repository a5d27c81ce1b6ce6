//! Cases as files and other programs give them.

use serde_json::Value;

use super::{Answer, Case, GivenGrant, Who};

const OWNER: &str = "111122223333";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// Cases hold static texts; a test's data may live until its end.
fn keep(text: &str) -> &'static str {
    text.to_owned().leak()
}

/// A string.
pub fn text(value: &Value) -> &'static str {
    keep(value.as_str().expect("a string"))
}

/// `111122223333:user/alice`, `111122223333:role/app/session`, a service, or `anonymous`.
fn who(name: &str) -> Who {
    let Some((account, resource)) = name.split_once(':') else {
        return if name == "anonymous" { Who::Nobody } else { Who::Service(keep(name)) };
    };
    let account = keep(account);
    match resource.split('/').collect::<Vec<_>>().as_slice() {
        ["root"] => Who::Root(account),
        ["user", name] => Who::User(account, keep(name)),
        ["role", name] => Who::Role(account, keep(name)),
        ["role", name, session] => Who::Session(account, keep(name), keep(session)),
        _ => panic!("{name}"),
    }
}

/// What is alone or in a list.
pub fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![],
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

fn pairs(value: &Value) -> Option<Vec<(&'static str, &'static str)>> {
    let pairs = value.as_array()?;
    Some(pairs.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect())
}

fn grant(value: &Value) -> GivenGrant {
    GivenGrant {
        grantee: text(&value["grantee"]).to_owned(),
        operations: list(&value["operations"]).iter().map(text).collect(),
        equals: pairs(&value["equals"]),
        subset: pairs(&value["subset"]),
        source_arn: value.get("source_arn").map(text),
    }
}

/// What a file under `tests/policies` says of one of its decisions.
pub fn case(file: &Value, decision: &Value) -> Case {
    let context = decision["context"].as_object().cloned().unwrap_or_default();
    let values = |value| list(value).iter().map(|value| text(value).to_owned()).collect();
    Case {
        trust: false,
        who: who(text(&decision["who"])),
        unique_id: decision.get("unique_id").map(text),
        action: text(&decision["action"]),
        resource: decision.get("resource").map_or(KEY, text),
        owner: file.get("owner").map_or(OWNER, text),
        context: context.iter().map(|(key, value)| (key.clone(), values(value), false)).collect(),
        encryption_context: pairs(&decision["encryption_context"]).unwrap_or_default(),
        key: file.get("key").cloned(),
        identity: list(&file["identity"]),
        boundary: file.get("boundary").cloned(),
        session: list(&file["session"]),
        grants: list(&file["grants"]).iter().map(grant).collect(),
    }
}

impl Answer {
    /// Its name in these files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::ExplicitDeny => "explicit-deny",
            Self::ImplicitDeny => "implicit-deny",
        }
    }
}
