//! Git inputs out of repositories that the tests make.

use super::*;
use std::process::Command;

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let fixture = Fixture { dir: tempfile::tempdir().expect("folder") };
        fs::create_dir(fixture.repo()).expect("folder");
        fixture.git(&["init", "--quiet", "--initial-branch=main"]);
        fixture.file("a", "one");
        fixture.file("sub/b", "two");
        fixture.commit("first");
        fixture
    }

    fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    fn git(&self, args: &[&str]) -> String {
        let out = Command::new("git")
            .arg("-C")
            .arg(self.repo())
            .args(["-c", "user.name=t", "-c", "user.email=t@t"])
            .args(args)
            .env("GIT_AUTHOR_DATE", "1700000000 +0000")
            .env("GIT_COMMITTER_DATE", "1700000000 +0000")
            .output()
            .expect("git");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.repo().join(name);
        fs::create_dir_all(path.parent().expect("folder")).expect("folder");
        fs::write(path, text).expect("file");
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "--quiet", "-m", message]);
    }

    fn fetch(&self, more: &[(&str, Attr)]) -> Result<GitTree, GitError> {
        let mut attrs = Attrs::from([
            ("type".into(), "git".into()),
            ("url".into(), self.repo().to_string_lossy().into_owned().into()),
        ]);
        attrs.extend(more.iter().map(|(n, v)| ((*n).to_owned(), v.clone())));
        let input = Input::from_attrs(attrs, &|_| true).expect("input");
        fetch(&input, &self.options())
    }

    fn options(&self) -> GitOptions {
        GitOptions {
            cache_dir: self.dir.path().join("cache"),
            ttl: Duration::from_secs(3600),
            allow_dirty: true,
            warn_dirty: true,
        }
    }
}

fn names(tree: &GitTree) -> Vec<String> {
    let mut out: Vec<String> = match &tree.files {
        GitFiles::InPlace { files, .. } => files.iter().map(|f| f.display().to_string()).collect(),
        GitFiles::Copied(dir) => {
            let root = dir.path().join("source");
            let mut found = Vec::new();
            let mut todo = vec![root.clone()];
            while let Some(dir) = todo.pop() {
                for entry in fs::read_dir(dir).expect("folder") {
                    let path = entry.expect("entry").path();
                    if path.is_dir() && !path.is_symlink() {
                        todo.push(path);
                    } else {
                        found.push(path.strip_prefix(&root).expect("below").display().to_string());
                    }
                }
            }
            found
        }
    };
    out.sort();
    out
}

#[test]
fn a_clean_working_tree_has_its_commit() {
    let fixture = Fixture::new();
    let tree = fixture.fetch(&[]).expect("tree");
    assert_eq!(names(&tree), ["a", "sub/b"]);
    assert_eq!(tree.input.text("rev"), Some(&*fixture.git(&["rev-parse", "HEAD"])));
    assert_eq!(tree.input.int("revCount"), Some(1));
    assert_eq!(tree.input.int("lastModified"), Some(1_700_000_000));
}

#[test]
fn a_dirty_working_tree_has_what_git_knows() {
    let fixture = Fixture::new();
    fixture.file("a", "changed");
    fixture.file("untracked", "x");
    fs::remove_file(fixture.repo().join("sub/b")).expect("removed");
    let tree = fixture.fetch(&[]).expect("tree");
    assert_eq!(names(&tree), ["a"]);
    assert_eq!(tree.input.text("rev"), None);
    assert!(tree.input.text("dirtyRev").expect("dirty").ends_with("-dirty"));
    assert_eq!(tree.warnings.len(), 1);
    let options = GitOptions { allow_dirty: false, ..fixture.options() };
    assert!(fetch(&tree.input, &options).is_err());
}

#[test]
fn commits_come_as_they_are_in_the_repository() {
    let fixture = Fixture::new();
    fixture.file(".gitattributes", "*.txt eol=crlf\nskip export-ignore\n");
    fixture.file("t.txt", "a\nb\n");
    fixture.file("skip/x", "x");
    std::os::unix::fs::symlink("a", fixture.repo().join("link")).expect("link");
    fixture.commit("second");
    let tree = fixture.fetch(&[("ref", "main".into())]).expect("tree");
    assert_eq!(names(&tree), [".gitattributes", "a", "link", "skip/x", "sub/b", "t.txt"]);
    let GitFiles::Copied(dir) = &tree.files else { panic!("copied") };
    let text = fs::read(dir.path().join("source/t.txt")).expect("file");
    assert_eq!(text, b"a\nb\n");
    assert_eq!(tree.input.int("revCount"), Some(2));
    let ignore = [("ref", "main".into()), ("exportIgnore", Attr::Bool(true))];
    let tree = fixture.fetch(&ignore).expect("tree");
    assert_eq!(names(&tree), [".gitattributes", "a", "link", "sub/b", "t.txt"]);
}

#[test]
fn a_missing_commit_is_an_error() {
    let fixture = Fixture::new();
    let rev = "0123456789012345678901234567890123456789";
    let error = fixture.fetch(&[("rev", rev.into())]).expect_err("no such commit").to_string();
    assert!(error.starts_with(&format!("Cannot find Git revision '{rev}' in ref")), "{error}");
    assert!(fixture.fetch(&[("ref", "nobranch".into())]).is_err());
}

#[test]
fn bare_repositories_are_cloned() {
    let fixture = Fixture::new();
    let bare = fixture.dir.path().join("bare.git");
    let path = bare.to_string_lossy().into_owned();
    fixture.git(&["clone", "--quiet", "--bare", ".", &path]);
    let more = [("url", Attr::from(path))];
    let tree = fixture.fetch(&more).expect("tree");
    assert_eq!(names(&tree), ["a", "sub/b"]);
    assert_eq!(tree.input.text("rev"), Some(&*fixture.git(&["rev-parse", "HEAD"])));
    // Again, from the cache, without the original.
    fs::remove_dir_all(&bare).expect("removed");
    fs::create_dir(&bare).expect("folder");
    let tree = fixture.fetch(&more).expect("tree");
    assert_eq!(names(&tree), ["a", "sub/b"]);
}

#[test]
fn submodules_are_fetched_when_asked_for() {
    let inner = Fixture::new();
    let outer = Fixture::new();
    let url = inner.repo().to_string_lossy().into_owned();
    outer.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "mod"]);
    outer.commit("with a submodule");
    let main = ("ref", Attr::from("main"));
    let tree = outer.fetch(std::slice::from_ref(&main)).expect("tree");
    assert_eq!(names(&tree), [".gitmodules", "a", "sub/b"]);
    let tree = outer.fetch(&[main, ("submodules", Attr::Bool(true))]).expect("tree");
    assert_eq!(names(&tree), [".gitmodules", "a", "mod/a", "mod/sub/b", "sub/b"]);
    let tree = outer.fetch(&[("submodules", Attr::Bool(true))]).expect("tree");
    assert_eq!(names(&tree), [".gitmodules", "a", "mod/a", "mod/sub/b", "sub/b"]);
}

#[test]
fn relative_urls_of_submodules() {
    assert_eq!(resolve_url("../b.git", "https://h/x/a.git"), "https://h/x/b.git");
    assert_eq!(resolve_url("./b", "/srv/a"), "/srv/a/b");
    assert_eq!(resolve_url("https://h/b", "/srv/a"), "https://h/b");
}
