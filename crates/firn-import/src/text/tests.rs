use super::*;
use crate::index::Dependency;
use crate::tree::{Node, Tree};

fn own() -> Tree {
    let mut tree = Tree::default();
    for path in [
        "bin/nginx",
        "bin/tool",
        "lib/foo/helper",
        "share/foo/data",
        "lib/libx.so.1",
        "lib/pkgconfig/x.pc",
    ] {
        tree.add(path, Node::file(vec![], true)).unwrap();
    }
    tree
}

fn with_index<R>(use_it: impl FnOnce(&Index<'_>) -> R) -> R {
    let bash = tempfile::tempdir().unwrap();
    std::fs::create_dir(bash.path().join("bin")).unwrap();
    std::fs::write(bash.path().join("bin/sh"), "").unwrap();
    std::fs::write(bash.path().join("bin/python3"), "").unwrap();
    let tree = own();
    let dependency = Dependency { path: "/s/bash".into(), real: bash.path().to_owned() };
    use_it(&Index::new(&tree, "/s/out", vec![dependency]))
}

fn rewritten(path: &str, text: &str) -> (String, Rewritten) {
    with_index(|index| {
        let mut result = rewrite(path, text.as_bytes(), index, &BTreeMap::new());
        let data = result.data.take().unwrap_or_else(|| text.into());
        (String::from_utf8(data).unwrap(), result)
    })
}

#[test]
fn shebangs_lead_to_who_has_the_interpreter() {
    assert_eq!(rewritten("bin/a", "#!/bin/sh -e\nx\n").0, "#!/s/bash/bin/sh -e\nx\n");
    assert_eq!(rewritten("bin/a", "#! /usr/bin/env python3\n").0, "#!/s/bash/bin/python3\n");
    assert_eq!(
        rewritten("bin/a", "#!/usr/bin/env -S python3 -u\n").0,
        "#!/s/bash/bin/python3 -u\n"
    );
    let (text, result) = rewritten("bin/a", "#!/usr/bin/perl -w\n");
    assert_eq!(text, "#!/usr/bin/perl -w\n");
    assert_eq!(result.interpreter.as_deref(), Some("/usr/bin/perl"));
}

#[test]
fn units_and_rules() {
    for (from, to) in [
        ("ExecStart=/usr/sbin/nginx -g 'daemon on;'", "ExecStart=/s/out/bin/nginx -g 'daemon on;'"),
        ("ExecStart=-/bin/sh -c '/sbin/tool;'", "ExecStart=-/s/bash/bin/sh -c '/s/out/bin/tool;'"),
        ("ExecStart=!!/usr/bin/tool", "ExecStart=!!/s/out/bin/tool"),
        ("RUN+=\"/lib/foo/helper %k\"", "RUN+=\"/s/out/lib/foo/helper %k\""),
        ("GROUP ( /lib/x86_64-linux-gnu/libx.so.1 )", "GROUP ( /s/out/lib/libx.so.1 )"),
        ("-I/usr/share/foo", "-I/s/out/share/foo"),
        ("see /usr/bin/tool.", "see /s/out/bin/tool."),
        ("PATH=/usr/bin:/bin", "PATH=/usr/bin:/bin"),
        ("\"$DESTDIR\"/usr/bin/tool", "\"$DESTDIR\"/usr/bin/tool"),
        ("${ROOT}/usr/bin/tool", "${ROOT}/usr/bin/tool"),
        ("http://x/usr/bin/tool", "http://x/usr/bin/tool"),
        ("/usr/share/foo/later.conf", "/s/out/share/foo/later.conf"),
        ("/etc/nginx/nginx.conf", "/etc/nginx/nginx.conf"),
        ("x=/usr/bin/toolbox", "x=/usr/bin/toolbox"),
    ] {
        assert_eq!(rewritten("lib/systemd/system/a.service", from).0, to);
    }
}

#[test]
fn what_nobody_has_is_reported() {
    let (_, result) = rewritten("bin/a", "exec /usr/bin/gone /usr/lib/gone/x /usr/bin");
    assert_eq!(
        result.unresolved.into_iter().collect::<Vec<_>>(),
        ["/usr/bin/gone", "/usr/lib/gone/x"]
    );
}

#[test]
fn pkg_config_files_have_the_output_as_prefix() {
    let (text, _) = rewritten(
        "lib/pkgconfig/x.pc",
        "prefix=/usr\nlibdir=${prefix}/lib/x86_64-linux-gnu\nmoddir=/usr/lib/x86_64-linux-gnu/mod\n",
    );
    assert_eq!(text, "prefix=/s/out\nlibdir=${prefix}/lib\nmoddir=/s/out/lib/mod\n");
}
