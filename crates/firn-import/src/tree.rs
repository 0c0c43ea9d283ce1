//! A package in memory: paths and what is at them. Archives are read into a tree, every step changes
//! the tree, and it is written out once, into a folder that did not exist. So no step can follow a
//! link that an archive planted: nothing is on disk until all is known.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A regular file.
    File {
        /// Its contents.
        data: Arc<Vec<u8>>,
        /// Whether it can be run.
        executable: bool,
    },
    /// A symbolic link and its target.
    Link(String),
}

impl Node {
    /// A regular file.
    #[must_use]
    pub fn file(data: Vec<u8>, executable: bool) -> Self {
        Self::File { data: Arc::new(data), executable }
    }
}

/// Why an entry was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// One of the folders on the way is a file or a link.
    ThroughNonFolder,
    /// A file with other contents is there.
    Conflict,
}

/// Paths without a leading slash, in byte order, and their nodes. Each folder on the way to an entry
/// is an entry too.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    entries: BTreeMap<String, Node>,
}

impl Tree {
    /// All entries, parents before children.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.entries.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// All entries, to be changed in place.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Node)> {
        self.entries.iter_mut().map(|(path, node)| (path.as_str(), node))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is at `path`; links are not followed. The root (`""`) is a folder.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Node> {
        if path.is_empty() { Some(&Node::Folder) } else { self.entries.get(path) }
    }

    /// Whether something is at `path`, with links to elsewhere in the tree followed on the way.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.resolve(path).is_some()
    }

    /// The path without links on the way that `path` leads to, if that is in the tree.
    #[must_use]
    pub fn resolve(&self, path: &str) -> Option<String> {
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut at: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    at.pop()?;
                    continue;
                }
                _ => at.push(part),
            }
            match self.entries.get(&at.join("/"))? {
                Node::Link(target) => {
                    links += 1;
                    if links > 40 || target.starts_with('/') {
                        return None;
                    }
                    at.pop();
                    todo.extend(target.split('/').rev().map(str::to_owned));
                }
                Node::File { .. } if !todo.is_empty() => return None,
                _ => {}
            }
        }
        Some(at.join("/"))
    }

    /// Adds an entry and the folders on its way. A file wins over a link; of two links or two files
    /// the first stays.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn add(&mut self, path: &str, node: Node) -> Result<(), Refused> {
        self.add_folders_to(path)?;
        if path.is_empty() {
            return Ok(());
        }
        match (self.entries.get_mut(path), node) {
            (None, node) => {
                self.entries.insert(path.to_owned(), node);
            }
            (Some(Node::Folder), Node::Folder | Node::Link(_))
            | (Some(Node::File { .. }), Node::Link(_)) => {}
            (Some(old @ Node::Link(_)), node @ (Node::File { .. } | Node::Folder)) => *old = node,
            (Some(old), node) if *old == node => {}
            (Some(_), _) => return Err(Refused::Conflict),
        }
        Ok(())
    }

    /// Puts a node at a path, whatever was there (with all below it).
    ///
    /// # Errors
    /// When a folder on the way is a file or link.
    pub fn replace(&mut self, path: &str, node: Node) -> Result<(), Refused> {
        self.remove(path);
        self.add(path, node)
    }

    fn add_folders_to(&mut self, path: &str) -> Result<(), Refused> {
        for (end, _) in path.match_indices('/') {
            match self.entries.get(&path[..end]) {
                None => {
                    self.entries.insert(path[..end].to_owned(), Node::Folder);
                }
                Some(Node::Folder) => {}
                Some(_) => return Err(Refused::ThroughNonFolder),
            }
        }
        Ok(())
    }

    /// Removes an entry and all below it, and says whether there was one.
    pub fn remove(&mut self, path: &str) -> bool {
        let below = format!("{path}/");
        let children: Vec<String> = self
            .entries
            .range(below.clone()..)
            .take_while(|(name, _)| name.starts_with(&below))
            .map(|(name, _)| name.clone())
            .collect();
        for child in &children {
            self.entries.remove(child);
        }
        self.entries.remove(path).is_some() || !children.is_empty()
    }

    /// Moves an entry and all below it.
    ///
    /// # Errors
    /// When a folder on the way is a file or link.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<bool, Refused> {
        let below = format!("{from}/");
        let moved: Vec<(String, Node)> = self
            .entries
            .iter()
            .filter(|(name, _)| *name == from || name.starts_with(&below))
            .map(|(name, node)| (format!("{to}{}", &name[from.len()..]), node.clone()))
            .collect();
        self.remove(from);
        for (name, node) in &moved {
            self.replace_one(name, node.clone())?;
        }
        Ok(!moved.is_empty())
    }

    fn replace_one(&mut self, path: &str, node: Node) -> Result<(), Refused> {
        self.add_folders_to(path)?;
        if !(node == Node::Folder && matches!(self.entries.get(path), Some(Node::Folder))) {
            self.entries.insert(path.to_owned(), node);
        }
        Ok(())
    }

    /// Removes folders in which nothing is left, from the leaves up, unless `keep` holds for them.
    pub fn remove_empty_folders(&mut self, keep: impl Fn(&str) -> bool) {
        loop {
            let paths: Vec<&String> = self.entries.keys().collect();
            let empty: Vec<String> = paths
                .iter()
                .filter(|path| matches!(self.entries[path.as_str()], Node::Folder) && !keep(path))
                .filter(|path| {
                    let below = format!("{path}/");
                    !self
                        .entries
                        .range(below.clone()..)
                        .next()
                        .is_some_and(|(name, _)| name.starts_with(&below))
                })
                .map(|path| (*path).clone())
                .collect();
            if empty.is_empty() {
                return;
            }
            for path in empty {
                self.entries.remove(&path);
            }
        }
    }
}

/// The relative link target that leads from the link at `link` to `target`, both in one tree.
#[must_use]
pub fn relative_target(link: &str, target: &str) -> String {
    let mut from: Vec<&str> = link.split('/').collect();
    from.pop();
    let to: Vec<&str> = target.split('/').filter(|part| !part.is_empty()).collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut parts = vec![".."; from.len() - common];
    parts.extend(&to[common..]);
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_wins_over_a_link_whatever_comes_first() {
        for link_first in [true, false] {
            let mut tree = Tree::default();
            let file = Node::file(b"x".to_vec(), true);
            if link_first {
                tree.add("bin/a", Node::Link("b".into())).unwrap();
                tree.add("bin/a", file.clone()).unwrap();
            } else {
                tree.add("bin/a", file.clone()).unwrap();
                tree.add("bin/a", Node::Link("b".into())).unwrap();
            }
            assert_eq!(tree.get("bin/a"), Some(&file));
        }
    }

    #[test]
    fn nothing_is_added_through_a_link() {
        let mut tree = Tree::default();
        tree.add("a", Node::Link("/etc".into())).unwrap();
        assert_eq!(tree.add("a/passwd", Node::file(vec![], false)), Err(Refused::ThroughNonFolder));
    }

    #[test]
    fn links_are_resolved_inside_the_tree_only() {
        let mut tree = Tree::default();
        tree.add("lib/libx.so.1", Node::file(vec![], false)).unwrap();
        tree.add("lib/libx.so", Node::Link("libx.so.1".into())).unwrap();
        tree.add("lib64", Node::Link("lib".into())).unwrap();
        tree.add("loop", Node::Link("loop".into())).unwrap();
        tree.add("out", Node::Link("../x".into())).unwrap();
        assert_eq!(tree.resolve("lib64/libx.so").as_deref(), Some("lib/libx.so.1"));
        assert_eq!(tree.resolve("loop"), None);
        assert_eq!(tree.resolve("out"), None);
    }

    #[test]
    fn relative_targets() {
        assert_eq!(relative_target("bin/a", "bin/b"), "b");
        assert_eq!(relative_target("lib/x/a", "share/b"), "../../share/b");
        assert_eq!(relative_target("a", "b/c"), "b/c");
        assert_eq!(relative_target("lib/x", ""), "..");
    }

    #[test]
    fn empty_folders_go_from_the_leaves_up() {
        let mut tree = Tree::default();
        tree.add("a/b/c", Node::Folder).unwrap();
        tree.add("d/e", Node::file(vec![], false)).unwrap();
        tree.remove_empty_folders(|_| false);
        assert_eq!(tree.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["d", "d/e"]);
    }
}
