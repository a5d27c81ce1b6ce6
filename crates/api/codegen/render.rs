//! The model as Rust code.

use crate::codegen::model::{Enum, Kind, Member, Message, Model, Operation, Shape};

/// The whole generated file, to be included next to prost's structs.
pub fn render(model: &Model) -> String {
    let mut code = String::new();
    let mut patterns = Patterns::default();
    for descriptor in &model.enums {
        render_enum(&mut code, descriptor);
    }
    for message in &model.messages {
        render_message(&mut code, message, &mut patterns);
    }
    patterns.render(&mut code);
    render_operations(&mut code, &model.operations);
    code
}

fn render_enum(code: &mut String, descriptor: &Enum) {
    let Enum { name, texts } = descriptor;
    code.push_str(&format!(
        r#"
impl {name} {{
    /// The texts, by their numbers.
    pub fn shape() -> &'static crate::shape::EnumShape {{
        static SHAPE: crate::shape::EnumShape =
            crate::shape::EnumShape {{ name: {name:?}, texts: &{texts:?} }};
        &SHAPE
    }}

    /// AWS's text; empty for `Unspecified`.
    pub fn as_text(&self) -> &'static str {{
        Self::shape().text(*self as i32).unwrap_or_default()
    }}

    /// The member with this text.
    pub fn from_text(text: &str) -> Option<Self> {{
        Self::shape().number(text).and_then(|number| Self::try_from(number).ok())
    }}
}}

impl std::fmt::Debug for {name} {{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{
        f.write_str(Self::shape().text(*self as i32).unwrap_or("Unspecified"))
    }}
}}
"#
    ));
}

fn render_message(code: &mut String, message: &Message, patterns: &mut Patterns) {
    let (name, rust) = (&message.name, rust_name(&message.name));
    let mut shapes = String::new();
    let mut visits = String::new();
    let mut assigns = String::new();
    for (index, member) in message.members.iter().enumerate() {
        let field = &member.field;
        shapes.push_str(&format!("            {},\n", member_shape(member, patterns)));
        visits.push_str(&format!(
            "        visit.member(&Self::shape().members[{index}], &self.{field})?;\n"
        ));
        assigns.push_str(&format!(
            "            {index} => assign.member(&Self::shape().members[{index}], \
             &mut self.{field}),\n"
        ));
    }
    let visit = if visits.is_empty() { "_visit" } else { "visit" };
    code.push_str(&format!(
        r#"
impl crate::value::Members for {rust} {{
    fn shape() -> &'static crate::shape::MessageShape {{
        static SHAPE: crate::shape::MessageShape =
            crate::shape::MessageShape {{ name: {name:?}, members: &[
{shapes}            ] }};
        &SHAPE
    }}

    fn visit<V: crate::value::Visit>(&self, {visit}: &mut V) -> Result<(), V::Error> {{
{visits}        Ok(())
    }}

    fn assign<A: crate::value::Assign>(
        &mut self,
        index: usize,
        assign: A,
    ) -> Result<(), A::Error> {{
        match index {{
{assigns}            _ => assign.unknown(),
        }}
    }}
}}

impl crate::Message for {rust} {{
    const NAME: &'static str = {name:?};
}}

impl serde::Serialize for {rust} {{
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {{
        crate::value::write_object(self, serializer)
    }}
}}

impl std::fmt::Debug for {rust} {{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{
        crate::value::debug_object(self, f)
    }}
}}
"#
    ));
}

fn member_shape(member: &Member, patterns: &mut Patterns) -> String {
    let Member { name, number, required, deprecated, emit_empty, .. } = member;
    format!(
        "crate::shape::MemberShape {{ name: {name:?}, path: {:?}, number: {number}, \
         value: {}, required: {required}, deprecated: {deprecated}, emit_empty: {emit_empty} }}",
        lower_camel(name),
        value_shape(&member.value, patterns),
    )
}

fn value_shape(shape: &Shape, patterns: &mut Patterns) -> String {
    let Shape { min, max, sensitive, bearer, .. } = shape;
    let kind = match &shape.kind {
        Kind::Text => "Text".to_owned(),
        Kind::Blob => "Blob".to_owned(),
        Kind::Integer => "Integer".to_owned(),
        Kind::Boolean => "Boolean".to_owned(),
        Kind::Timestamp => "Timestamp".to_owned(),
        Kind::Map => "Map".to_owned(),
        // By function, not by reference: the tables of two messages may then name each other.
        Kind::Enum(name) => format!("Enum({name}::shape)"),
        Kind::Structure(name) => {
            format!("Structure(<{} as crate::value::Members>::shape)", rust_name(name))
        }
        Kind::List(item) => format!("List(&{})", value_shape(item, patterns)),
    };
    let pattern = match &shape.pattern {
        Some(pattern) => format!("Some(&PATTERN_{})", patterns.index(pattern)),
        None => "None".to_owned(),
    };
    format!(
        "crate::shape::ValueShape {{ kind: crate::shape::Kind::{kind}, min: {min:?}, \
         max: {max:?}, pattern: {pattern}, sensitive: {sensitive}, bearer: {bearer} }}"
    )
}

fn render_operations(code: &mut String, operations: &[Operation]) {
    code.push_str("\npub(crate) static OPERATIONS: &[crate::shape::OperationShape] = &[\n");
    for Operation { name, input, output } in operations {
        let (input, output) = (rust_name(input), rust_name(output));
        code.push_str(&format!(
            "    crate::shape::OperationShape {{ name: {name:?}, \
             input: <{input} as crate::value::Members>::shape, \
             output: <{output} as crate::value::Members>::shape }},\n"
        ));
    }
    code.push_str("];\n");
}

/// Every pattern once, however many members have it.
#[derive(Default)]
struct Patterns(Vec<String>);

impl Patterns {
    fn index(&mut self, pattern: &str) -> usize {
        self.0.iter().position(|known| known == pattern).unwrap_or_else(|| {
            self.0.push(pattern.to_owned());
            self.0.len() - 1
        })
    }

    fn render(&self, code: &mut String) {
        for (index, text) in self.0.iter().enumerate() {
            code.push_str(&format!(
                "\nstatic PATTERN_{index}: crate::shape::Pattern =\n    \
                 crate::shape::Pattern::new({text:?}, {:?});\n",
                ascii_classes(text)
            ));
        }
    }
}

/// A pattern with its shorthand classes written out: they are ASCII in the service's model.
fn ascii_classes(pattern: &str) -> String {
    let mut out = String::new();
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(next) = chars.next() {
        let class = match next {
            '\\' => match chars.next() {
                Some('d') => "0-9",
                Some('s') => r"\t\n\x0B\f\r ",
                Some('w') => "0-9A-Z_a-z",
                Some(escaped) => {
                    out.extend(['\\', escaped]);
                    continue;
                }
                None => continue,
            },
            _ => {
                in_class = (in_class || next == '[') && next != ']';
                out.push(next);
                continue;
            }
        };
        out.push_str(&if in_class { class.to_owned() } else { format!("[{class}]") });
    }
    out
}

/// What prost calls a message: of several capitals in a row, only the one that begins a word stays.
fn rust_name(name: &str) -> String {
    let mut out = String::new();
    let mut before = None;
    let mut chars = name.chars().peekable();
    while let Some(next) = chars.next() {
        let begins = !before.is_some_and(char::is_uppercase)
            || chars.peek().is_some_and(|after| after.is_lowercase());
        out.push(if begins { next } else { next.to_ascii_lowercase() });
        before = Some(next);
    }
    out
}

/// `KeyId` as `keyId`.
fn lower_camel(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().collect::<String>() + chars.as_str())
}
