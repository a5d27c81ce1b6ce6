//! Collects what is wrong with a request, and says it in AWS's words.

use std::fmt::{self, Write};

use crate::shape::{EnumShape, ValueShape};
use crate::{Error, ErrorCode, Wire};

/// How many violations are spelt out; the rest is counted.
const MAX_SPELT_OUT: usize = 25;
/// How many characters of an offending value are shown.
const MAX_SHOWN: usize = 256;

/// The violations found so far, and the place that is being looked at.
#[derive(Debug)]
pub struct Violations {
    /// Whether unknown texts of enumerations were found while decoding.
    enums_known: bool,
    path: Vec<Segment>,
    count: usize,
    texts: Vec<String>,
    fault: Option<&'static str>,
}

/// A step on the way to a value.
#[derive(Debug, Clone, Copy)]
enum Segment {
    Member(&'static str),
    /// From 0; shown from 1.
    Item(usize),
}

impl Violations {
    /// None yet, of a request that arrives in this form.
    pub fn new(wire: Wire) -> Self {
        Self {
            enums_known: wire == Wire::AwsJson,
            path: Vec::new(),
            count: 0,
            texts: Vec::new(),
            fault: None,
        }
    }

    /// The end of the examination.
    ///
    /// # Errors
    /// `ValidationException` with everything that was found.
    pub fn finish(self) -> Result<(), Error> {
        match self.into_text() {
            Some(text) => Err(Error::new(ErrorCode::ValidationException, text)),
            None => Ok(()),
        }
    }

    /// The text about everything that was found, if anything was.
    pub(crate) fn into_text(self) -> Option<String> {
        let (count, plural) = match self.count {
            0 => return None,
            1 => (1, ""),
            count => (count, "s"),
        };
        let texts = self.texts.join("; ");
        Some(format!("{count} validation error{plural} detected: {texts}"))
    }

    pub(crate) fn enter(&mut self, member: &'static str) {
        self.path.push(Segment::Member(member));
    }

    pub(crate) fn enter_item(&mut self, index: usize) {
        self.path.push(Segment::Item(index));
    }

    pub(crate) fn leave(&mut self) {
        self.path.pop();
    }

    /// A required member is not there.
    pub(crate) fn missing(&mut self) {
        self.record("Value null", format_args!("not be null"));
    }

    /// A text that no member of the enumeration has.
    pub(crate) fn unknown_text(&mut self, shape: &EnumShape, text: &str) {
        let texts = shape.texts.join(", ");
        self.record(&shown(text), format_args!("satisfy enum value set: [{texts}]"));
    }

    /// A number that no member of the enumeration has, unless decoding has told already.
    pub(crate) fn unknown_number(&mut self, shape: &EnumShape, number: i32) {
        if !self.enums_known {
            self.unknown_text(shape, &number.to_string());
        }
    }

    /// A length outside the shape's limits.
    pub(crate) fn length(&mut self, shape: &ValueShape, length: usize, text: Option<&str>) {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        self.limits(shape, "length", length, text);
    }

    /// A number outside the shape's limits.
    pub(crate) fn number(&mut self, shape: &ValueShape, number: i32) {
        self.limits(shape, "value", number.into(), Some(&number.to_string()));
    }

    /// A text that does not match the shape's pattern.
    pub(crate) fn pattern(&mut self, shape: &ValueShape, text: &str) {
        if let Some(pattern) = shape.pattern.filter(|pattern| !pattern.matches(text)) {
            let subject = subject(shape, Some(text));
            let constraint = pattern.text;
            self.record(&subject, format_args!("satisfy regular expression pattern: {constraint}"));
        }
    }

    /// A point in time that has no calendar date.
    pub(crate) fn timestamp(&mut self) {
        self.record("Value", format_args!("be a timestamp of the years 1 to 9999"));
    }

    /// Notes why decoding is about to fail.
    pub(crate) fn fail<E: serde::de::Error>(&mut self, fault: &'static str) -> E {
        self.fault = Some(fault);
        E::custom(fault)
    }

    /// Why decoding failed, and where.
    pub(crate) fn into_fault(self) -> String {
        self.into_fault_or(None)
    }

    /// The same, where the decoder knows more than these violations.
    pub(crate) fn into_fault_or(self, other: Option<&'static str>) -> String {
        let fault = self.fault.or(other).unwrap_or("Unexpected type of value");
        if self.path.is_empty() {
            return "The request body must be one JSON object.".to_owned();
        }
        format!("{fault} at '{}'.", Path(&self.path))
    }

    fn limits(&mut self, shape: &ValueShape, what: &str, actual: i64, text: Option<&str>) {
        let low = shape.min.filter(|min| actual < *min).map(|min| ("greater", min));
        let high = shape.max.filter(|max| actual > *max).map(|max| ("less", max));
        if let Some((side, limit)) = low.or(high) {
            let subject = subject(shape, text);
            self.record(&subject, format_args!("have {what} {side} than or equal to {limit}"));
        }
    }

    fn record(&mut self, subject: &str, constraint: fmt::Arguments<'_>) {
        self.count += 1;
        if self.texts.len() < MAX_SPELT_OUT {
            let path = Path(&self.path);
            self.texts.push(format!(
                "{subject} at '{path}' failed to satisfy constraint: Member must {constraint}"
            ));
        }
    }
}

/// `Value 'x'`, or `Value` for what must not be shown.
fn subject(shape: &ValueShape, text: Option<&str>) -> String {
    match text {
        Some(text) if !shape.hidden() => shown(text),
        _ => "Value".to_owned(),
    }
}

/// `Value 'x'`, cut to a bearable length and without control characters.
fn shown(text: &str) -> String {
    let mut out = "Value '".to_owned();
    for (index, next) in text.chars().enumerate() {
        if index == MAX_SHOWN {
            out.push_str("...");
            break;
        }
        if next.is_control() {
            out.extend(next.escape_default());
        } else {
            out.push(next);
        }
    }
    out.push('\'');
    out
}

/// Shown as AWS does: `tags.1.member.tagKey`.
struct Path<'a>(&'a [Segment]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char('.')?;
            }
            match segment {
                Segment::Member(name) => f.write_str(name)?,
                Segment::Item(index) => write!(f, "{}.member", index + 1)?,
            }
        }
        Ok(())
    }
}
