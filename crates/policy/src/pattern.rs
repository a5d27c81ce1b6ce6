//! Texts with wildcards and variables, taken apart once.
//!
//! The value of a variable stays a piece of plain text: it is never read as a pattern, and a
//! colon in it does not begin a new section of an ARN.

use crate::context::Context;
use crate::defect::{Defect, planted};
use crate::error::Reason;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Atom {
    Text(String),
    /// `?`
    One,
    /// `*`
    Any,
    /// `${key, 'default'}`, the key in lower case.
    Variable(String, Option<String>),
}

/// What a text may contain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Syntax {
    pub(crate) wildcards: bool,
    pub(crate) variables: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pattern(Vec<Atom>);

impl Pattern {
    pub(crate) fn parse(mut text: &str, syntax: Syntax) -> Result<Self, Reason> {
        let mut pattern = Self::default();
        while let Some(c) = text.chars().next() {
            if syntax.variables && text.starts_with("${") {
                let (inside, rest) = variable(text)?;
                pattern.push_variable(inside)?;
                text = rest;
                continue;
            }
            match c {
                '*' if syntax.wildcards => pattern.0.push(Atom::Any),
                '?' if syntax.wildcards => pattern.0.push(Atom::One),
                _ => pattern.push_text(&text[..c.len_utf8()]),
            }
            text = &text[c.len_utf8()..];
        }
        Ok(pattern)
    }

    fn push_variable(&mut self, inside: &str) -> Result<(), Reason> {
        if let "*" | "?" | "$" = inside {
            self.push_text(inside);
            return Ok(());
        }
        let bad = || Reason::text("a policy variable", inside);
        let (key, default) = match inside.split_once(',') {
            None => (inside.trim(), None),
            Some((key, default)) => {
                let default = default.trim();
                let quoted = default.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
                (key.trim(), Some(quoted.ok_or_else(bad)?.to_owned()))
            }
        };
        if !key.contains(':') || key.chars().any(|c| matches!(c, '$' | '{' | '*' | '?' | '\'')) {
            return Err(bad());
        }
        self.0.push(Atom::Variable(key.to_lowercase(), default));
        Ok(())
    }

    fn push_text(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Atom::Text(last)) => last.push_str(text),
            _ => self.0.push(Atom::Text(text.to_owned())),
        }
    }

    /// What matches every text.
    pub(crate) fn any() -> Self {
        Self(vec![Atom::Any])
    }

    /// Exactly `*`.
    pub(crate) fn is_any(&self) -> bool {
        self.0 == [Atom::Any]
    }

    /// Whether all its variables have a value.
    pub(crate) fn resolvable(&self, context: &Context) -> bool {
        self.0.iter().all(|atom| match atom {
            Atom::Variable(key, default) => default.is_some() || context.variable(key).is_some(),
            _ => true,
        })
    }

    /// Whether it matches the whole text. A variable without a value matches nothing.
    pub(crate) fn matches(&self, text: &str, context: &Context) -> bool {
        if planted(Defect::VariableAsPattern) && self.has_variables() {
            return self.reread(context).is_some_and(|p| p.matches(text, context));
        }
        self.resolvable(context) && matches(&self.0, text, context)
    }

    /// The text that it stands for, if it has no wildcards.
    pub(crate) fn expand(&self, context: &Context) -> Option<String> {
        self.0.iter().map(|atom| atom.literal(context)).collect()
    }

    pub(crate) fn has_variables(&self) -> bool {
        self.0.iter().any(|atom| matches!(atom, Atom::Variable(..)))
    }

    /// A planted defect: reads the values of variables as patterns.
    fn reread(&self, context: &Context) -> Option<Self> {
        let write = |atom: &Atom| match atom {
            Atom::One => Some("?".to_owned()),
            Atom::Any => Some("*".to_owned()),
            atom => atom.literal(context).map(str::to_owned),
        };
        let text: String = self.0.iter().map(write).collect::<Option<_>>()?;
        Self::parse(&text, Syntax { wildcards: true, variables: false }).ok()
    }

    /// Cuts at the first colons into `count` sections at most.
    pub(crate) fn sections(&self, count: usize) -> Vec<Self> {
        let mut done = Vec::new();
        let mut current = Self::default();
        for atom in &self.0 {
            let Atom::Text(text) = atom else {
                current.0.push(atom.clone());
                continue;
            };
            let mut rest = text.as_str();
            // In the last section colons are characters like others.
            while let Some((before, after)) = rest.split_once(':')
                && done.len() + 1 < count
            {
                if !before.is_empty() {
                    current.push_text(before);
                }
                done.push(std::mem::take(&mut current));
                rest = after;
            }
            if !rest.is_empty() {
                current.push_text(rest);
            }
        }
        done.push(current);
        done
    }

    /// Adds `:*` so many times: a resource ARN that stops early means all that begins so.
    pub(crate) fn complete(mut self, missing: usize) -> Self {
        for _ in 0..missing {
            self.push_text(":");
            self.0.push(Atom::Any);
        }
        self
    }

    pub(crate) fn is_literal(&self, text: &str) -> bool {
        match self.0.as_slice() {
            [] => text.is_empty(),
            [Atom::Text(only)] => only == text,
            _ => false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Splits `${inside}rest`. A quoted default may hold a brace.
fn variable(text: &str) -> Result<(&str, &str), Reason> {
    let body = text.strip_prefix("${").unwrap_or(text);
    let mut quoted = false;
    for (at, c) in body.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '}' if !quoted => return Ok((&body[..at], &body[at + 1..])),
            _ => {}
        }
    }
    Err(Reason::text("a policy variable", text))
}

impl Atom {
    fn literal<'a>(&'a self, context: &'a Context) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Variable(key, default) => context.variable(key).or(default.as_deref()),
            Self::One | Self::Any => None,
        }
    }

    fn strip_front<'t>(&self, text: &'t str, context: &Context) -> Option<&'t str> {
        match self {
            Self::One => {
                let mut chars = text.chars();
                chars.next().map(|_| chars.as_str())
            }
            _ => text.strip_prefix(self.literal(context)?),
        }
    }

    fn strip_back<'t>(&self, text: &'t str, context: &Context) -> Option<&'t str> {
        match self {
            Self::One => {
                let mut chars = text.chars();
                chars.next_back().map(|_| chars.as_str())
            }
            _ => text.strip_suffix(self.literal(context)?),
        }
    }
}

/// Between two `*` every run of atoms has a fixed length, so the leftmost place of each will do,
/// and no choice is ever taken back.
fn matches(atoms: &[Atom], text: &str, context: &Context) -> bool {
    let mut runs = atoms.split(|atom| *atom == Atom::Any).peekable();
    let front = |run: &[Atom], text| {
        run.iter().try_fold(text, |rest, atom| atom.strip_front(rest, context))
    };
    let first = runs.next().unwrap_or_default();
    let Some(mut rest) = front(first, text) else { return false };
    if runs.peek().is_none() {
        return rest.is_empty() || planted(Defect::GlobUnanchored);
    }
    while let Some(run) = runs.next() {
        if runs.peek().is_none() {
            let back = run.iter().rev().try_fold(rest, |rest, atom| atom.strip_back(rest, context));
            return back.is_some();
        }
        match find(run, rest, context, front) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

/// What follows the first place where a run of atoms matches.
fn find<'t>(
    run: &[Atom],
    text: &'t str,
    context: &Context,
    front: impl Fn(&[Atom], &'t str) -> Option<&'t str>,
) -> Option<&'t str> {
    let mut from = text;
    loop {
        // Plain text is searched for in linear time.
        if let Some(literal) = run.first().and_then(|atom| atom.literal(context)) {
            from = &from[from.find(literal)?..];
        }
        if let Some(after) = front(run, from) {
            return Some(after);
        }
        let mut chars = from.chars();
        chars.next()?;
        from = chars.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Syntax = Syntax { wildcards: true, variables: true };

    fn check(pattern: &str, text: &str) -> bool {
        let mut context = Context::new();
        context.add("aws:username", "a*b");
        Pattern::parse(pattern, ALL).unwrap().matches(text, &context)
    }

    #[test]
    fn wildcards_match_whole_texts() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "ab", true),
            ("a*", "abc", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*b?d*", "abbcd", true),
            ("?", "ä", true),
            ("?", "", false),
            ("a*a", "a", false),
            ("*ab", "aab", true),
            ("*?*", "", false),
            ("*a?*b", "xaab", true),
            ("${aws:username}", "a*b", true),
            ("${aws:username}", "axb", false),
            ("${*}${?}${$}", "*?$", true),
            ("${aws:nobody, 'x}y'}*", "x}y!", true),
            ("${aws:nobody}", "", false),
        ] {
            assert_eq!(check(pattern, text), expected, "{pattern} on {text}");
        }
        for bad in ["${", "${aws:username", "${username}", "${aws:a, b}", "${}", "${aws:${x}}"] {
            assert!(Pattern::parse(bad, ALL).is_err(), "{bad}");
        }
    }

    #[test]
    fn sections_do_not_cut_variables() {
        let pattern = Pattern::parse("arn:aws:iam::*:user/${aws:username}:x:y", ALL).unwrap();
        let sections = pattern.sections(6);
        assert_eq!(sections.len(), 6);
        assert!(sections[0].is_literal("arn") && sections[3].is_empty() && sections[4].is_any());
        let mut context = Context::new();
        context.add("aws:username", "b:c");
        assert!(sections[5].matches("user/b:c:x:y", &context));
    }
}
