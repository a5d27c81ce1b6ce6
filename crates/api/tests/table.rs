//! The generated tables are AWS's service models, member by member.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeSet;

use keystead_api::query::{FaultCode, WRAPPED_EMPTY};
use keystead_api::shape::{Kind, MessageShape, ValueShape};
use keystead_api::{ErrorCode, OperationShape, iam_operations, operations};
use serde_json::{Map, Value};

/// The model of KMS: every operation with its input, output and errors.
fn model() -> Map<String, Value> {
    serde_json::from_str(include_str!("data/operations.json")).unwrap()
}

/// The model of IAM, as far as it is served.
fn iam_model() -> Map<String, Value> {
    serde_json::from_str(include_str!("data/iam-operations.json")).unwrap()
}

#[test]
fn the_operations_are_those_of_the_models() {
    for (operations, model, count) in
        [(operations(), model(), 56), (iam_operations(), iam_model(), 79)]
    {
        let names: Vec<_> = operations.iter().map(|operation| operation.name).collect();
        assert_eq!(names, model.keys().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(names.len(), count);
        for operation in operations {
            assert_eq!((operation.input)().name, format!("{}Request", operation.name));
            assert_eq!((operation.output)().name, format!("{}Response", operation.name));
        }
    }
}

#[test]
fn the_members_are_those_of_the_models() {
    let mut differences = Vec::new();
    for (operations, model) in [(operations(), model()), (iam_operations(), iam_model())] {
        for operation in operations {
            let entry = &model[operation.name];
            let input = (operation.input)();
            compare(input, &entry["members"], &entry["required"], &mut differences);
            let (output, required) = ((operation.output)(), &entry["output_required"]);
            compare(output, &entry["output_members"], required, &mut differences);
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn iam_wraps_what_has_members_and_writes_its_lists() {
    let model = iam_model();
    for OperationShape { name, output, .. } in iam_operations() {
        let members = output().members;
        let result = Value::from(format!("{name}Result"));
        let plain = members.is_empty() && !WRAPPED_EMPTY.contains(&output().name);
        let wrapped = if plain { Value::Null } else { result };
        assert_eq!(model[*name]["result"], wrapped, "{name}");
        for member in members {
            let list = matches!(member.value.kind, Kind::List(_));
            assert_eq!(member.emit_empty, list, "{name}.{}", member.name);
        }
    }
}

#[test]
fn the_errors_of_iam_have_their_statuses() {
    for (name, operation) in &iam_model() {
        for (error, status) in operation["errors"].as_object().unwrap() {
            let code = FaultCode::ALL.iter().find(|code| code.as_str() == error);
            let ours = code.map(|code| i64::from(code.http_status()));
            assert_eq!(ours, status.as_i64(), "{name}: {error}");
        }
    }
}

#[test]
fn paginated_lists_of_kms_are_written_even_if_empty() {
    for operation in operations() {
        let output = (operation.output)();
        let paginated = output.members.iter().any(|member| member.name == "Truncated");
        assert_eq!(paginated, model()[operation.name]["paginated"] == true, "{}", output.name);
        for member in output.members {
            let list = matches!(member.value.kind, Kind::List(_));
            assert_eq!(member.emit_empty, list && paginated, "{}.{}", output.name, member.name);
        }
    }
}

#[test]
fn every_error_of_kms_has_a_code() {
    let codes: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes.len(), ErrorCode::ALL.len());
    for (name, operation) in &model() {
        for error in operation["errors"].as_array().unwrap() {
            let error = error.as_str().unwrap();
            assert!(codes.contains(error), "{name}: {error}");
        }
    }
}

/// Notes every difference between a message and its entry in the model.
fn compare(message: &MessageShape, members: &Value, required: &Value, found: &mut Vec<String>) {
    let ours: BTreeSet<_> = message.members.iter().map(|member| member.name).collect();
    let theirs: BTreeSet<_> = members.as_object().unwrap().keys().map(String::as_str).collect();
    for name in ours.symmetric_difference(&theirs) {
        found.push(format!("{}.{name}: on one side only", message.name));
    }
    let required: BTreeSet<_> = required
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    for member in message.members {
        let place = format!("{}.{}", message.name, member.name);
        let Some(entry) = members.get(member.name) else { continue };
        if member.required != required.contains(member.name) {
            found.push(format!("{place}: required is {}", member.required));
        }
        if member.deprecated != (entry["deprecated"] == true) {
            found.push(format!("{place}: deprecated is {}", member.deprecated));
        }
        compare_value(&place, &member.value, entry, found);
    }
}

/// Notes every difference between a value's shape and its entry in the model.
fn compare_value(place: &str, value: &ValueShape, entry: &Value, found: &mut Vec<String>) {
    let mut same = |what: &str, ours: Value, theirs: &Value| {
        if ours != *theirs {
            found.push(format!("{place}: {what} is {ours}, in the model {theirs}"));
        }
    };
    same("type", type_name(value.kind).into(), &entry["type"]);
    same("min", value.min.into(), &entry["min"]);
    same("max", value.max.into(), &entry["max"]);
    same("pattern", value.pattern.map(|pattern| pattern.text).into(), &entry["pattern"]);
    same("sensitive", value.sensitive.into(), &Value::Bool(entry["sensitive"] == true));
    match value.kind {
        Kind::Enum(shape) => {
            same("name", shape().name.into(), &upper_camel(&entry["shape"]));
            same("enum", shape().texts.into(), &entry["enum"]);
        }
        Kind::Structure(shape) => {
            same("name", shape().name.into(), &entry["shape"]);
            compare(shape(), &entry["members"], &entry["required"], found);
        }
        Kind::List(item) => compare_value(&format!("{place}[]"), item, &entry["item"], found),
        Kind::Map => {
            for part in ["key", "value"] {
                same(part, "string".into(), &entry[part]["type"]);
            }
        }
        _ => same("enum", Value::Null, &entry["enum"]),
    }
}

/// IAM's model has names such as `statusType`.
fn upper_camel(name: &Value) -> Value {
    let name = name.as_str().unwrap();
    Value::from(name[..1].to_uppercase() + &name[1..])
}

/// The model's name of a type.
fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Enum(_) => "string",
        Kind::Blob => "blob",
        Kind::Integer => "integer",
        Kind::Boolean => "boolean",
        Kind::Timestamp => "timestamp",
        Kind::Map => "map",
        Kind::Structure(_) => "structure",
        Kind::List(_) => "list",
    }
}
