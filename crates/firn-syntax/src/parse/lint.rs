//! Literals that are discouraged: URLs without quotes, absolute paths, relative paths that begin with a name.
//! The settings say whether each is ignored, warned about or refused.

use super::parser::{Parsed, Parser};
use super::token::{T, Token};
use super::{Diagnose, Warning};
use crate::source::Pos;

impl Parser<'_> {
    pub(super) fn lint_url(&mut self, token: Token) -> Parsed<()> {
        let level = self.options.lints.url_literals;
        let verb = match level {
            Diagnose::Ignore => return Ok(()),
            Diagnose::Warn => "discouraged",
            Diagnose::Fatal => "disallowed",
        };
        let url = self.literal(token);
        let message =
            format!("URL literals are {verb}. Consider using a string literal \"{url}\" instead");
        self.lint(level, "lint-url-literals", &message, token)
    }

    pub(super) fn lint_path(&mut self, token: Token, literal: &[u8]) -> Parsed<()> {
        let lints = self.options.lints;
        let (level, setting) = match (token.kind, literal.first()) {
            (T::HomePath, _) | (_, Some(b'/')) => {
                (lints.absolute_paths, "lint-absolute-path-literals")
            }
            (_, Some(b'.')) => return Ok(()),
            _ => (lints.short_paths, "lint-short-path-literals"),
        };
        if level == Diagnose::Ignore {
            return Ok(());
        }
        let path = self.literal(token);
        let message = if setting == "lint-short-path-literals" {
            format!(
                "relative path literal '{path}' should be prefixed with '.' for clarity: './{path}'"
            )
        } else {
            let kind = if token.kind == T::HomePath { "home" } else { "absolute" };
            format!(
                "{kind} path literals are not portable. Consider replacing path literal '{path}' by a string, relative path, or parameter"
            )
        };
        self.lint(level, setting, &message, token)
    }

    fn literal(&self, token: Token) -> String {
        let text = &self.ast.source.text()[token.start as usize..token.end as usize];
        String::from_utf8_lossy(text).into_owned()
    }

    fn lint(&mut self, level: Diagnose, setting: &str, message: &str, token: Token) -> Parsed<()> {
        let message = format!("{message} ({setting})");
        let pos = Pos(token.start);
        if level == Diagnose::Fatal {
            return self.message(message, pos);
        }
        self.ast.warnings.push(Warning { message, pos, placed: false });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::parse::{Diagnose, Lints, Options, parse};
    use crate::source::{Origin, Source};
    use std::path::Path;

    fn messages(text: &str, level: Diagnose) -> Vec<String> {
        let lints = Lints { url_literals: level, absolute_paths: level, short_paths: level };
        let options = Options { lints, ..Options::default() };
        let source = Source::new(Origin::String, text.as_bytes());
        match parse(source, Path::new("/base"), &options) {
            Ok(ast) => ast.warnings().iter().map(|w| w.message.clone()).collect(),
            Err(e) => vec![format!("error: {}", e.message)],
        }
    }

    #[test]
    fn discouraged_literals_are_found() {
        let list = "[ x:y \"x:y\" /a ./a ../b c/d ~/e ]";
        assert!(messages(list, Diagnose::Ignore).is_empty());
        assert_eq!(
            messages(list, Diagnose::Warn),
            [
                "URL literals are discouraged. Consider using a string literal \"x:y\" instead (lint-url-literals)",
                "absolute path literals are not portable. Consider replacing path literal '/a' by a string, relative path, or parameter (lint-absolute-path-literals)",
                "relative path literal 'c/d' should be prefixed with '.' for clarity: './c/d' (lint-short-path-literals)",
                "home path literals are not portable. Consider replacing path literal '~/e' by a string, relative path, or parameter (lint-absolute-path-literals)",
            ]
        );
        assert_eq!(
            messages("[ x:y ]", Diagnose::Fatal),
            [
                "error: URL literals are disallowed. Consider using a string literal \"x:y\" instead (lint-url-literals)"
            ]
        );
    }
}
