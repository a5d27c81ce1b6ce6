//! A key policy's text with other names for the principals in it, and nothing else changed.

/// Writes a policy again, its principals under `AWS` by the names that `rename` has for them. White
/// space, order and all other texts stay as they are; what is no policy stays as it is, too.
pub fn rename_principals(text: &str, rename: impl Fn(&str) -> Option<String>) -> String {
    let mut scan = Scan { rest: text, out: String::with_capacity(text.len()), rename };
    match scan.value(Place::Top) {
        Some(()) => scan.out + scan.rest,
        None => text.to_owned(),
    }
}

/// What a value is within a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    /// One statement, or the list of them.
    Statement,
    /// A `Principal` or `NotPrincipal` element.
    Principal,
    /// One principal, or a list of them.
    Named,
    Other,
}

impl Place {
    fn field(self, name: &str) -> Self {
        match (self, name) {
            (Self::Top, "Statement") => Self::Statement,
            (Self::Statement, "Principal" | "NotPrincipal") => Self::Principal,
            (Self::Principal, "AWS") => Self::Named,
            _ => Self::Other,
        }
    }

    fn item(self) -> Self {
        if matches!(self, Self::Statement | Self::Named) { self } else { Self::Other }
    }
}

/// A reader of JSON that copies what it reads. `None` of its methods means that it is no JSON.
struct Scan<'a, R> {
    rest: &'a str,
    out: String,
    rename: R,
}

impl<'a, R: Fn(&str) -> Option<String>> Scan<'a, R> {
    fn value(&mut self, place: Place) -> Option<()> {
        match self.peek()? {
            '{' => self.members('}', |scan| {
                let name = scan.string()?;
                scan.out.push_str(name.0);
                scan.expect(':')?;
                scan.value(place.field(&name.1))
            }),
            '[' => self.members(']', |scan| scan.value(place.item())),
            '"' => {
                let (raw, text) = self.string()?;
                match (self.rename)(&text).filter(|_| place == Place::Named) {
                    Some(name) => self.out.push_str(&serde_json::to_string(&name).ok()?),
                    None => self.out.push_str(raw),
                }
                Some(())
            }
            _ => {
                let end = self.rest.find([',', '}', ']', ' ', '\t', '\n', '\r']);
                self.copy(end.unwrap_or(self.rest.len()));
                Some(())
            }
        }
    }

    /// All that stands between brackets, of which the opening one comes next.
    fn members(&mut self, end: char, mut one: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.copy(1);
        if self.peek()? == end {
            self.copy(1);
            return Some(());
        }
        loop {
            self.peek()?;
            one(self)?;
            match self.peek()? {
                ',' => self.copy(1),
                next if next == end => {
                    self.copy(1);
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// A string as it stands there, and what it says.
    fn string(&mut self) -> Option<(&'a str, String)> {
        let mut escaped = false;
        let inside = self.rest.strip_prefix('"')?;
        let end = inside.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        let (raw, rest) = self.rest.split_at(end + 2);
        self.rest = rest;
        Some((raw, serde_json::from_str(raw).ok()?))
    }

    fn expect(&mut self, next: char) -> Option<()> {
        (self.peek()? == next).then(|| self.copy(1))
    }

    /// Copies white space; what comes then.
    fn peek(&mut self) -> Option<char> {
        let start = self.rest.find(|c: char| !c.is_ascii_whitespace())?;
        self.copy(start);
        self.rest.chars().next()
    }

    fn copy(&mut self, length: usize) {
        let (copied, rest) = self.rest.split_at(length);
        self.out.push_str(copied);
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(text: &str) -> String {
        rename_principals(text, |name| match name {
            "a/b" => Some("B".to_owned()),
            "B" => Some("a/b".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn only_principals_are_renamed_each_once() {
        for (given, wanted) in [
            (
                r#" { "Id" : "B", "Statement" : [ { "Principal" : { "AWS" : [ "a/b" , "B", "C" ] } } ] } "#,
                r#" { "Id" : "B", "Statement" : [ { "Principal" : { "AWS" : [ "B" , "a/b", "C" ] } } ] } "#,
            ),
            (
                r#"{"Statement":{"NotPrincipal":{"AWS":"a\/b","Service":"B"},"Sid":"B"}}"#,
                r#"{"Statement":{"NotPrincipal":{"AWS":"B","Service":"B"},"Sid":"B"}}"#,
            ),
            (
                r#"{"Statement":[{"Principal":{"AWS":"\u0042"},"Condition":{"StringEquals":{"AWS":["B",1,true]}}}]}"#,
                r#"{"Statement":[{"Principal":{"AWS":"a/b"},"Condition":{"StringEquals":{"AWS":["B",1,true]}}}]}"#,
            ),
            (r#"{"Statement":[],"x":{},"y":"\"B\\"}"#, r#"{"Statement":[],"x":{},"y":"\"B\\"}"#),
        ] {
            assert_eq!(renamed(given), wanted);
        }
    }

    #[test]
    fn what_is_no_json_stays_as_it_is() {
        for text in ["", "{", "{\"", "{\"a\"}", "[1 2]", "{\"a\":\"\\\"}", "{\"Statement\":[{]}"] {
            assert_eq!(renamed(text), text);
        }
    }
}
