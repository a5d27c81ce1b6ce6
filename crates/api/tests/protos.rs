//! What is on the wire stays on the wire: every field number, name and type of the protos, and
//! every enum value, stands in `proto/kms.lock`. `KEYSTEAD_BLESS=1 cargo test -p keystead-api`
//! accepts a change.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use keystead_api::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

const PACKAGES: [&str; 2] = ["keystead.kms.v1", "keystead.options"];

#[test]
fn the_protos_are_as_locked() {
    let path = Path::new("../../proto/kms.lock");
    let now = lock();
    if env::var_os("KEYSTEAD_BLESS").is_some() {
        fs::write(path, &now).unwrap();
    }
    let locked = fs::read_to_string(path).unwrap();
    let gone: Vec<_> = locked.lines().filter(|line| !now.lines().any(|l| l == *line)).collect();
    let new: Vec<_> = now.lines().filter(|line| !locked.lines().any(|l| l == *line)).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "clients in the field break if a line is gone; accept with KEYSTEAD_BLESS=1\n\
         gone: {gone:#?}\nnew: {new:#?}"
    );
}

#[test]
fn every_json_name_is_written_out() {
    for file in descriptors().file.iter().filter(|file| file.package() == PACKAGES[0]) {
        for field in file.message_type.iter().flat_map(|message| &message.field) {
            let first = field.json_name().chars().next();
            assert!(first.is_some_and(char::is_uppercase), "{}: {}", file.name(), field.name());
        }
    }
}

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap()
}

/// One line for everything that a change would break.
fn lock() -> String {
    let mut lines = Vec::new();
    for file in descriptors().file.iter().filter(|file| PACKAGES.contains(&file.package())) {
        file.message_type.iter().for_each(|message| lock_message(message, &mut lines));
        file.enum_type.iter().for_each(|descriptor| lock_enum(descriptor, &mut lines));
        for option in &file.extension {
            lines.push(format!("option {}", field(option)));
        }
        for service in &file.service {
            for method in &service.method {
                let (input, output) = (method.input_type(), method.output_type());
                let name = method.name();
                lines.push(format!("rpc {}/{name} {input} {output}", service.name()));
            }
        }
    }
    lines.sort();
    lines.into_iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").unwrap();
        text
    })
}

fn lock_message(message: &DescriptorProto, lines: &mut Vec<String>) {
    lines.push(format!("message {}", message.name()));
    for descriptor in &message.field {
        lines.push(format!("field {} {}", message.name(), field(descriptor)));
    }
    for nested in &message.nested_type {
        lock_message(nested, lines);
    }
}

fn lock_enum(descriptor: &EnumDescriptorProto, lines: &mut Vec<String>) {
    for value in &descriptor.value {
        lines.push(format!("value {} {} {}", descriptor.name(), value.number(), value.name()));
    }
}

/// Number, name, JSON name and type of a field.
fn field(field: &FieldDescriptorProto) -> String {
    let label = match field.label() {
        Label::Repeated => "repeated ",
        Label::Optional | Label::Required => "",
    };
    let kind = match field.r#type() {
        Type::Message | Type::Enum => field.type_name().to_owned(),
        other => other.as_str_name().to_lowercase().replace("type_", ""),
    };
    format!("{} {} {} {label}{kind}", field.number(), field.name(), field.json_name())
}
