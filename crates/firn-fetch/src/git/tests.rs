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
            fetch: crate::FetchSettings::default(),
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

/// A server that answers the batch API with what it has, and gives it out with a token.
fn lfs_server(objects: Vec<(String, Vec<u8>)>) -> String {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let base = format!("http://{}", listener.local_addr().expect("address"));
    let url = base.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("connection");
            let mut reader = BufReader::new(stream.try_clone().expect("stream"));
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("line");
                if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().expect("number");
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("body");
            let answer = if head.starts_with("POST /lfs/objects/batch ") {
                let asked: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
                let list = asked["objects"].as_array().expect("list").iter().map(|object| {
                    let oid = object["oid"].as_str().expect("oid");
                    match objects.iter().any(|(have, _)| have == oid) {
                        true => serde_json::json!({"oid": oid, "size": object["size"], "actions": {"download": {
                            "href": format!("{base}/get/{oid}"), "header": {"X-Token": "secret"}}}}),
                        false => serde_json::json!({"oid": oid, "error": {"code": 404, "message": "gone"}}),
                    }
                });
                serde_json::json!({"objects": list.collect::<Vec<_>>()}).to_string().into_bytes()
            } else {
                assert!(head.to_lowercase().contains("x-token: secret"), "{head}");
                let wanted = head.split(' ').nth(1).expect("path").trim_start_matches("/get/");
                objects.iter().find(|(have, _)| have == wanted).expect("object").1.clone()
            };
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            let _ = stream.write_all(&answer);
        }
    });
    url
}

fn pointer(contents: &[u8]) -> (String, String) {
    let oid = Hash::digest(HashAlgo::Sha256, contents).to_base16();
    let text = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {}\n",
        contents.len()
    );
    (oid, text)
}

#[test]
fn lfs_files_are_fetched_and_checked() {
    let fixture = Fixture::new();
    let big = b"what the pointer points to".to_vec();
    let (oid, text) = pointer(&big);
    let (lie, lie_text) = pointer(b"another thing of the size.");
    let (gone, gone_text) = pointer(b"gone");
    let url = lfs_server(vec![(oid, big.clone()), (lie, big.clone())]);
    fixture.git(&["config", "lfs.url", &format!("{url}/lfs")]);
    fixture.file(".gitattributes", "*.bin filter=lfs\n");
    fixture.file("x/big.bin", &text);
    fixture.file("plain.txt", &text);
    fixture.file("bad.bin", "no pointer");
    fixture.commit("with LFS");
    let rev = || ("rev", Attr::from(fixture.git(&["rev-parse", "HEAD"])));
    let lfs = ("lfs", Attr::Bool(true));
    let read = |tree: &GitTree, name: &str| match &tree.files {
        GitFiles::Copied(dir) => fs::read(dir.path().join("source").join(name)).expect("file"),
        GitFiles::InPlace { .. } => panic!("it was not copied"),
    };
    let tree = fixture.fetch(&[rev(), lfs.clone()]).expect("tree");
    assert_eq!(read(&tree, "x/big.bin"), big);
    assert_eq!(read(&tree, "plain.txt"), text.as_bytes());
    assert_eq!(tree.warnings.len(), 1, "{:?}", tree.warnings);
    assert!(tree.warnings[0].contains("'bad.bin'"), "{:?}", tree.warnings);
    // without the flag, pointers stay
    let plain = fixture.fetch(&[rev()]).expect("tree");
    assert_eq!(read(&plain, "x/big.bin"), text.as_bytes());
    // contents that are not what the pointer says, and objects that are not there
    fixture.file("x/big.bin", &lie_text);
    fixture.commit("lie");
    let error = fixture.fetch(&[rev(), lfs.clone()]).expect_err("a lie").to_string();
    assert!(error.starts_with("hash mismatch while fetching"), "{error}");
    fixture.file("x/big.bin", &gone_text);
    fixture.commit("gone");
    let error = fixture.fetch(&[rev(), lfs]).expect_err("gone").to_string();
    assert!(error.contains(&format!("no object '{gone}': gone")), "{error}");
}
