//! Tests of the archive: what is written reads back, and every attack on the reader fails.

use std::collections::BTreeMap;
use std::io::Read;

use proptest::prelude::*;

use super::*;

/// A file-system object in memory.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    File(bool, Vec<u8>),
    Link(Vec<u8>),
    Dir(BTreeMap<Vec<u8>, Node>),
}

fn write_node(node: &Node, out: &mut NarWriter<&mut Vec<u8>>) {
    match node {
        Node::File(x, data) => out.file(*x, data.len() as u64, &mut &data[..]).unwrap(),
        Node::Link(target) => out.symlink(target).unwrap(),
        Node::Dir(entries) => {
            out.begin_directory().unwrap();
            for (name, child) in entries {
                out.begin_entry(name).unwrap();
                write_node(child, out);
                out.end_entry().unwrap();
            }
            out.end_directory().unwrap();
        }
    }
}

fn archive(node: &Node) -> Vec<u8> {
    let mut out = Vec::new();
    write_node(node, &mut NarWriter::new(&mut out).unwrap());
    out
}

/// A directory that is being read, and the name of the entry that comes next.
type OpenDir = (BTreeMap<Vec<u8>, Node>, Option<Vec<u8>>);

/// Builds nodes again.
#[derive(Default)]
struct Build {
    open: Vec<OpenDir>,
    root: Option<Node>,
}

impl Build {
    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            Some((entries, name)) => {
                entries.insert(name.take().unwrap(), node);
            }
            None => self.root = Some(node),
        }
    }
}

impl NarVisitor for Build {
    type Error = Error;
    fn file(&mut self, executable: bool, _: u64, contents: &mut Contents<'_>) -> Result<(), Error> {
        let mut data = Vec::new();
        contents.read_to_end(&mut data)?;
        self.put(Node::File(executable, data));
        Ok(())
    }
    fn symlink(&mut self, target: &[u8]) -> Result<(), Error> {
        self.put(Node::Link(target.to_vec()));
        Ok(())
    }
    fn begin_directory(&mut self) -> Result<(), Error> {
        self.open.push(Default::default());
        Ok(())
    }
    fn begin_entry(&mut self, name: &[u8]) -> Result<(), Error> {
        self.open.last_mut().unwrap().1 = Some(name.to_vec());
        Ok(())
    }
    fn end_entry(&mut self) -> Result<(), Error> {
        Ok(())
    }
    fn end_directory(&mut self) -> Result<(), Error> {
        let (entries, _) = self.open.pop().unwrap();
        self.put(Node::Dir(entries));
        Ok(())
    }
}

fn parse(mut bytes: &[u8]) -> Result<Node, Error> {
    let mut build = Build::default();
    read(&mut bytes, &mut build)?;
    assert!(bytes.is_empty(), "the reader left something");
    Ok(build.root.unwrap())
}

fn error(bytes: &[u8]) -> String {
    parse(bytes).unwrap_err().to_string()
}

/// An archive from its words; numbers are contents' sizes and raw bytes go in as they are.
fn words(words: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for w in [MAGIC].iter().chain(words) {
        out.extend_from_slice(&(w.len() as u64).to_le_bytes());
        out.extend_from_slice(w);
        out.resize(out.len().div_ceil(8) * 8, 0);
    }
    out
}

fn entry(name: &[u8]) -> Vec<Vec<u8>> {
    [
        &b"entry"[..],
        b"(",
        b"name",
        name,
        b"node",
        b"(",
        b"type",
        b"symlink",
        b"target",
        b"t",
        b")",
        b")",
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

fn directory(names: &[&[u8]]) -> Vec<u8> {
    let mut all: Vec<Vec<u8>> = [&b"("[..], b"type", b"directory"].map(<[u8]>::to_vec).to_vec();
    for name in names {
        all.extend(entry(name));
    }
    all.push(b")".to_vec());
    words(&all.iter().map(|w| &w[..]).collect::<Vec<_>>())
}

#[test]
fn bytes_of_a_small_file() {
    let nar = archive(&Node::File(true, b"hi".to_vec()));
    let mut expected =
        words(&[b"(", b"type", b"regular", b"executable", b"", b"contents", b"hi", b")"]);
    assert_eq!(nar, expected);
    expected[16] = 1;
    assert!(parse(&expected).is_err());
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    assert!(parse(&directory(&[b"a", b"b"])).is_ok());
    for name in [&b".."[..], b".", b"", b"a/b", b"/etc", b"a\0b"] {
        let err = error(&directory(&[name]));
        assert!(err.contains("NAR contains invalid file name"), "{name:?}: {err}");
    }
    assert!(error(&directory(&[b"b", b"a"])).contains("NAR directory is not sorted"));
    assert!(error(&directory(&[b"a", b"a"])).contains("NAR directory is not sorted"));
    assert!(error(&directory(&[&[b'a'; 256]])).contains("longer than 255"));
}

#[test]
fn padding_must_be_zero() {
    let mut nar = archive(&Node::File(false, b"??".to_vec()));
    let at = nar.windows(2).position(|w| w == b"??").unwrap();
    nar[at + 2] = 1;
    assert!(error(&nar).contains("non-zero padding"));
}

#[test]
fn lengths_are_not_believed() {
    let mut nar = archive(&Node::File(false, b"??".to_vec()));
    let at = nar.windows(2).position(|w| w == b"??").unwrap();
    nar[at - 8..at].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(error(&nar).contains("too large"));
    nar[at - 8..at].copy_from_slice(&(1u64 << 60).to_le_bytes());
    assert!(error(&nar).contains("unexpected end"));
    let mut huge = words(&[]);
    huge.extend_from_slice(&(1u64 << 62).to_le_bytes());
    assert!(error(&huge).contains("longer than"));
}

#[test]
fn nesting_ends_at_64() {
    let nested = |depth: usize| {
        (0..depth).fold(Node::File(false, vec![]), |n, _| Node::Dir([(b"d".to_vec(), n)].into()))
    };
    assert!(parse(&archive(&nested(64))).is_ok());
    assert!(error(&archive(&nested(65))).contains("nested deeper than 64"));
}

#[test]
fn what_is_no_archive_is_told() {
    for bytes in [&b""[..], b"hello", &[0xff; 64], &words(&[])[..12]] {
        assert!(error(bytes).contains("input doesn't look like a Nix archive"), "{bytes:?}");
    }
    assert!(error(&words(&[b"(", b"type", b"fifo"])).contains("unknown file type 'fifo'"));
    let marker = words(&[b"(", b"type", b"regular", b"executable", b"x"]);
    assert!(error(&marker).contains("executable marker has non-empty value"));
}

#[test]
fn a_file_that_shrinks_is_an_error() {
    let mut out = Vec::new();
    let mut nar = NarWriter::new(&mut out).unwrap();
    assert!(matches!(
        nar.file(false, 10, &mut &b"short"[..]),
        Err(Error::ShortContent { size: 10, got: 5 })
    ));
}

fn node() -> impl Strategy<Value = Node> {
    let name = prop::collection::vec(
        any::<u8>().prop_map(|b| if b == 0 || b == b'/' { b'x' } else { b }),
        1..20,
    )
    .prop_filter("dots", |n| !matches!(&n[..], b"." | b".."));
    let leaf = prop_oneof![
        (any::<bool>(), any::<Vec<u8>>()).prop_map(|(x, d)| Node::File(x, d)),
        prop::collection::vec(1u8.., 1..40).prop_map(Node::Link),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop::collection::btree_map(name.clone(), inner, 0..6).prop_map(Node::Dir)
    })
}

proptest! {
    #[test]
    fn round_trip(node in node()) {
        prop_assert_eq!(parse(&archive(&node)).unwrap(), node);
    }
    #[test]
    fn damage_is_no_panic(node in node(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut nar = archive(&node);
        let at = at.index(nar.len());
        nar[at] = byte;
        let _ = read(&mut &nar[..], &mut Build::default());
        nar.truncate(cut.index(nar.len()));
        prop_assert!(read(&mut &nar[..], &mut Build::default()).is_err());
    }
}
