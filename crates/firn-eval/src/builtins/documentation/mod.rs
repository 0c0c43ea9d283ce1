//! What each builtin does, for people: its arguments, a text in Markdown, examples where they help. For `:doc`
//! and whatever else shows documentation.

mod data;
mod strings;
mod world;

/// A builtin's entry.
pub struct Entry {
    /// The name in `builtins`.
    pub name: &'static str,
    /// What the arguments are called in the text.
    pub args: &'static [&'static str],
    /// Markdown.
    pub text: &'static str,
}

const fn entry(name: &'static str, args: &'static [&'static str], text: &'static str) -> Entry {
    Entry { name, args, text }
}

/// All entries.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    [data::ENTRIES, strings::ENTRIES, world::ENTRIES].into_iter().flatten()
}

/// The entry of a builtin, by its name in `builtins`.
pub fn find(name: &str) -> Option<&'static Entry> {
    entries().find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_has_an_entry_with_its_arguments() {
        for builtin in crate::builtins::all() {
            let name = builtin.short_name();
            // those that no expression can name
            if name == "internalFile" || name == "treeFact" {
                continue;
            }
            let entry = find(name).unwrap_or_else(|| panic!("'{name}' is not documented"));
            assert_eq!(entry.args.len(), usize::from(builtin.arity), "{name}");
            assert!(entry.text.trim().len() > 30, "{name}");
        }
    }

    #[test]
    fn every_entry_is_of_a_builtin() {
        let mut seen = std::collections::BTreeSet::new();
        for entry in entries() {
            let known = crate::builtins::all().iter().any(|b| b.short_name() == entry.name);
            assert!(known, "{}", entry.name);
            assert!(seen.insert(entry.name), "{} twice", entry.name);
        }
    }
}
