//! The protos of the API, with their custom options, in the terms of the generated code.

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor,
    Kind as ProtoKind, MessageDescriptor, Value,
};

/// The most members that a message may have: the decoder marks those seen in 64 bits.
const MAX_MEMBERS: usize = 64;

pub struct Model {
    pub messages: Vec<Message>,
    pub enums: Vec<Enum>,
    pub operations: Vec<Operation>,
}

pub struct Message {
    pub name: String,
    pub members: Vec<Member>,
}

pub struct Member {
    /// AWS's name.
    pub name: String,
    /// The field of the struct.
    pub field: String,
    pub number: u32,
    pub value: Shape,
    pub required: bool,
    pub deprecated: bool,
    pub emit_empty: bool,
}

pub struct Shape {
    pub kind: Kind,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub pattern: Option<String>,
    pub sensitive: bool,
    pub bearer: bool,
}

pub enum Kind {
    Text,
    Blob,
    Integer,
    Boolean,
    Timestamp,
    Map,
    Enum(String),
    Structure(String),
    List(Box<Shape>),
}

pub struct Enum {
    pub name: String,
    /// The texts of the values 1, 2, …
    pub texts: Vec<String>,
}

pub struct Operation {
    pub name: String,
    pub input: String,
    pub output: String,
}

impl Model {
    pub fn read(pool: &DescriptorPool, package: &str) -> Result<Self, String> {
        let options = Options { pool };
        let messages = pool
            .all_messages()
            .filter(|m| m.package_name() == package && !m.is_map_entry())
            .map(|m| options.message(&m))
            .collect::<Result<_, _>>()?;
        let enums = pool
            .all_enums()
            .filter(|e| e.package_name() == package)
            .map(|e| options.enumeration(&e))
            .collect::<Result<_, _>>()?;
        let mut operations: Vec<_> = pool
            .services()
            .filter(|service| service.package_name() == package)
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .map(|method| Operation {
                name: method.name().to_owned(),
                input: method.input().name().to_owned(),
                output: method.output().name().to_owned(),
            })
            .collect();
        operations.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { messages, enums, operations })
    }
}

/// Reads descriptors together with the options of `keystead.options`.
struct Options<'a> {
    pool: &'a DescriptorPool,
}

impl Options<'_> {
    fn message(&self, message: &MessageDescriptor) -> Result<Message, String> {
        // In the order of their numbers, which is AWS's.
        let members: Vec<_> =
            message.fields().map(|field| self.member(&field)).collect::<Result<_, _>>()?;
        if members.len() > MAX_MEMBERS {
            return Err(format!("{} has more than {MAX_MEMBERS} members", message.name()));
        }
        Ok(Message { name: message.name().to_owned(), members })
    }

    fn member(&self, field: &FieldDescriptor) -> Result<Member, String> {
        let options = field.options();
        let bearer = self.flag(&options, "bearer")?;
        let kind = if field.is_map() {
            Kind::Map
        } else if field.cardinality() == Cardinality::Repeated {
            Kind::List(Box::new(Shape {
                kind: kind(field)?,
                min: self.number(&options, "item_min")?,
                max: self.number(&options, "item_max")?,
                pattern: self.text(&options, "item_pattern")?,
                sensitive: self.flag(&options, "sensitive")?,
                bearer,
            }))
        } else if field.supports_presence() {
            kind(field)?
        } else {
            return Err(format!("{} must be optional", field.full_name()));
        };
        Ok(Member {
            name: field.json_name().to_owned(),
            field: field.name().to_owned(),
            number: field.number(),
            value: Shape {
                kind,
                min: self.number(&options, "min")?,
                max: self.number(&options, "max")?,
                pattern: self.text(&options, "pattern")?,
                sensitive: self.flag(&options, "sensitive")?,
                bearer,
            },
            required: self.flag(&options, "required")?,
            deprecated: field
                .field_descriptor_proto()
                .options
                .as_ref()
                .is_some_and(|options| options.deprecated()),
            emit_empty: self.flag(&options, "emit_empty")?,
        })
    }

    fn enumeration(&self, descriptor: &EnumDescriptor) -> Result<Enum, String> {
        let mut texts = Vec::new();
        for (index, value) in descriptor.values().enumerate() {
            if usize::try_from(value.number()) != Ok(index) {
                return Err(format!("the values of {} leave a gap", descriptor.name()));
            }
            if index > 0 {
                let text = self.text(&value.options(), "text")?;
                texts.push(text.ok_or_else(|| format!("{} has no text", value.name()))?);
            }
        }
        Ok(Enum { name: descriptor.name().to_owned(), texts })
    }

    fn flag(&self, options: &DynamicMessage, name: &str) -> Result<bool, String> {
        Ok(self.option(options, name)?.and_then(|value| value.as_bool()).unwrap_or(false))
    }

    fn number(&self, options: &DynamicMessage, name: &str) -> Result<Option<i64>, String> {
        Ok(self.option(options, name)?.and_then(|value| value.as_i64()))
    }

    fn text(&self, options: &DynamicMessage, name: &str) -> Result<Option<String>, String> {
        Ok(self.option(options, name)?.and_then(|value| value.as_str().map(str::to_owned)))
    }

    fn option(&self, options: &DynamicMessage, name: &str) -> Result<Option<Value>, String> {
        let full_name = format!("keystead.options.{name}");
        let extension = self
            .pool
            .get_extension_by_name(&full_name)
            .ok_or_else(|| format!("no such option: {full_name}"))?;
        let set = options.has_extension(&extension);
        Ok(set.then(|| options.get_extension(&extension).into_owned()))
    }
}

/// The kind of a field, or of the items of a list.
fn kind(field: &FieldDescriptor) -> Result<Kind, String> {
    Ok(match field.kind() {
        ProtoKind::String => Kind::Text,
        ProtoKind::Bytes => Kind::Blob,
        ProtoKind::Int32 => Kind::Integer,
        ProtoKind::Bool => Kind::Boolean,
        ProtoKind::Enum(descriptor) => Kind::Enum(descriptor.name().to_owned()),
        ProtoKind::Message(m) if m.full_name() == "google.protobuf.Timestamp" => Kind::Timestamp,
        ProtoKind::Message(descriptor) => Kind::Structure(descriptor.name().to_owned()),
        other => return Err(format!("{} is a {other:?}", field.full_name())),
    })
}
