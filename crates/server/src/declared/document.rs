//! Policy documents compared by what they say.

use serde_json::Value;

/// A document in a form that documents which say the same have in common: members sorted, texts of
/// a list sorted and once each, a list of one thing as the thing itself. What is no JSON stays as
/// it is.
pub(super) fn canonical(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(value) => normal(value).to_string(),
        Err(_) => text.to_owned(),
    }
}

fn normal(value: Value) -> Value {
    match value {
        // serde_json keeps members sorted by their names.
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, normal(value))).collect()
        }
        Value::Array(items) => list(items.into_iter().map(normal).collect()),
        other => other,
    }
}

/// The order of texts says nothing; that of statements is told when a decision is explained.
fn list(mut items: Vec<Value>) -> Value {
    if items.iter().all(Value::is_string) {
        items.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        items.dedup();
    }
    match <[Value; 1]>::try_from(items) {
        Ok([only]) => only,
        Err(items) => Value::Array(items),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_say_the_same_are_the_same() {
        let a = r#"{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": "*"}]}"#;
        let b = r#"{"Statement":{"Action":["kms:Decrypt","kms:Encrypt"],"Resource":["*"],
            "Effect":"Allow"},"Version":"2012-10-17"}"#;
        assert_eq!(canonical(a), canonical(b));
    }

    #[test]
    fn other_documents_differ() {
        let of = |action, resource| {
            canonical(&format!(r#"{{"Statement":{{"Action":{action},"Resource":{resource}}}}}"#))
        };
        let first = of(r#""kms:Encrypt""#, r#"["a","b"]"#);
        assert_ne!(first, of(r#""kms:Encrypt""#, r#"["a"]"#));
        assert_ne!(first, of(r#""kms:Decrypt""#, r#"["a","b"]"#));
        // In this order statements are counted.
        let statements =
            |first, second| canonical(&format!(r#"[{{"Sid":{first}}},{{"Sid":{second}}}]"#));
        assert_ne!(statements(1, 2), statements(2, 1));
        assert_eq!(canonical("{"), "{");
    }
}
