//! Where a path of a Debian root file system lies in a store path, and the way back for links.

/// Names below which a machine keeps its state: nothing of a package in the store.
const STATE: [&str; 9] = ["var", "run", "tmp", "dev", "proc", "sys", "mnt", "root", "home"];

/// Folders of the root, and the folder each becomes.
const MERGED: [(&str, &str); 16] = [
    ("usr/lib/x86_64-linux-gnu", "lib"),
    ("lib/x86_64-linux-gnu", "lib"),
    ("usr/lib64", "lib"),
    ("lib64", "lib"),
    ("usr/include/x86_64-linux-gnu", "include"),
    ("usr/local/bin", "bin"),
    ("usr/local/sbin", "bin"),
    ("usr/local/lib", "lib"),
    ("usr/local/share", "share"),
    ("usr/local", ""),
    ("usr/sbin", "bin"),
    ("usr/games", "bin"),
    ("usr/bin", "bin"),
    ("sbin", "bin"),
    ("usr", ""),
    ("boot", ""),
];

/// The place of an FHS path (no leading slash), or `None` for what a store path does not have.
#[must_use]
pub fn place(path: &str) -> Option<String> {
    let first = path.split('/').next().unwrap_or_default();
    if STATE.contains(&first) {
        return None;
    }
    for (from, to) in MERGED {
        if path == from {
            return Some(to.to_owned());
        }
        if let Some(rest) = path.strip_prefix(from).and_then(|rest| rest.strip_prefix('/')) {
            if from == "boot" {
                return Some(boot(rest));
            }
            return Some(match to {
                "" => rest.to_owned(),
                to => format!("{to}/{rest}"),
            });
        }
    }
    Some(path.to_owned())
}

/// `vmlinuz-6.1.0-49-cloud-amd64` is `vmlinuz`: the version is in the store path's name already.
fn boot(name: &str) -> String {
    for stem in ["vmlinuz", "System.map", "config"] {
        if name.strip_prefix(stem).is_some_and(|rest| rest.starts_with('-')) {
            return stem.to_owned();
        }
    }
    format!("boot/{name}")
}

/// The absolute FHS path that a link at `link` (an FHS path without leading slash) leads to. Like the
/// kernel, `..` at the root stays there.
#[must_use]
pub fn absolute_target(link: &str, target: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    if !target.starts_with('/') {
        parts.extend(link.split('/'));
        parts.pop();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Files that only Debian's own tools use.
#[must_use]
pub fn is_maintainer_file(path: &str) -> bool {
    const FOLDERS: [&str; 22] = [
        "share/doc/",
        "share/lintian/",
        "share/bug/",
        "share/menu/",
        "share/doc-base/",
        "share/debhelper/",
        "share/debianutils/",
        "share/reportbug/",
        "share/apport/",
        "share/initramfs-tools/",
        "share/linda/",
        "share/gdb/auto-load/",
        "lib/mime/",
        "lib/debug/",
        "etc/init.d/",
        "etc/cron.",
        "etc/logrotate.d/",
        "etc/insserv",
        "etc/apparmor.d/",
        "etc/ufw/",
        "etc/kernel/",
        "etc/network/if-",
    ];
    FOLDERS.iter().any(|folder| path.starts_with(folder) || path == folder.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::{absolute_target, place};

    #[test]
    fn folders_are_merged() {
        for (from, to) in [
            ("usr/sbin/nginx", "bin/nginx"),
            ("bin/ls", "bin/ls"),
            ("usr/lib/x86_64-linux-gnu/libz.so.1", "lib/libz.so.1"),
            ("lib64/ld-linux-x86-64.so.2", "lib/ld-linux-x86-64.so.2"),
            ("usr/lib/x86_64-linux-gnu", "lib"),
            ("usr/include/x86_64-linux-gnu/sys/cdefs.h", "include/sys/cdefs.h"),
            ("usr", ""),
            ("etc/nginx/nginx.conf", "etc/nginx/nginx.conf"),
            ("boot/vmlinuz-6.1.0-49-cloud-amd64", "vmlinuz"),
            ("usrx/y", "usrx/y"),
        ] {
            assert_eq!(place(from).as_deref(), Some(to), "{from}");
        }
        assert_eq!(place("var/lib/dpkg"), None);
        assert_eq!(place("run"), None);
    }

    #[test]
    fn links_are_taken_from_where_they_were() {
        assert_eq!(
            absolute_target(
                "usr/lib/x86_64-linux-gnu/libm.so",
                "../../../lib/x86_64-linux-gnu/libm.so.6"
            ),
            "lib/x86_64-linux-gnu/libm.so.6"
        );
        assert_eq!(absolute_target("a/b", "/usr/bin/x"), "usr/bin/x");
        assert_eq!(absolute_target("a/b", "../../../../etc/x"), "etc/x");
    }
}
