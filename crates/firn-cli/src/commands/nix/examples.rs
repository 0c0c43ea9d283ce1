//! Examples of the commands of `nix`, which their help and their manual pages show.

/// Command lines of a command, without `nix`, each with what it does.
pub fn of(path: &str) -> &'static [(&'static str, &'static str)] {
    EXAMPLES.iter().find(|(name, _)| *name == path).map_or(&[], |(_, lines)| lines)
}

#[rustfmt::skip]
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    ("build", &[
        ("build", "build the default package of the flake in this folder; './result' leads to it"),
        ("build .#hello nixpkgs#jq --no-link --print-out-paths", "build two packages and print where they are"),
        ("build -f default.nix server.image", "build an attribute of a file"),
        ("build /nix/store/…-hello-2.12.1.drv^out", "build one output of a derivation"),
    ]),
    ("config show", &[
        ("config show", "all settings"),
        ("config show substituters", "one of them"),
    ]),
    ("copy", &[
        ("copy --to file:///srv/cache .#hello", "copy a package and all it needs into a folder that is a binary cache"),
        ("copy --all --to /mnt", "copy everything into the store below /mnt"),
    ]),
    ("derivation show", &[
        ("derivation show nixpkgs#hello", "how a package is built, as JSON"),
        ("derivation show -r .#hello", "with the derivations of all that it is built from"),
    ]),
    ("develop", &[
        ("develop", "a shell with the tools of the flake in this folder"),
        ("develop .#docs -c make html", "run one command with the tools of another of its shells"),
        ("develop nixpkgs#hello", "the environment in which a package is built"),
    ]),
    ("edit", &[("edit nixpkgs#hello", "open the file that defines a package")]),
    ("eval", &[
        ("eval --expr 1+1", "evaluate an expression"),
        ("eval --json .#packages.x86_64-linux --apply builtins.attrNames", "the names of a flake's packages"),
        ("eval --raw nixpkgs#hello.version", "a string as it is"),
    ]),
    ("flake archive", &[("flake archive --to file:///srv/cache", "copy the flake with all its inputs to a binary cache")]),
    ("flake check", &[("flake check", "evaluate all outputs and build the checks")]),
    ("flake init", &[("flake init -t templates#rust", "begin a project from a template")]),
    ("flake lock", &[("flake lock --override-input nixpkgs ../nixpkgs", "lock an input to another place")]),
    ("flake metadata", &[("flake metadata --json nixpkgs", "where a flake is and what it is locked to")]),
    ("flake new", &[("flake new -t templates#rust hello", "begin a project in a new folder")]),
    ("flake show", &[
        ("flake show", "the outputs of the flake in this folder"),
        ("flake show github:NixOS/patchelf", "those of a flake elsewhere"),
    ]),
    ("flake update", &[
        ("flake update", "bring all inputs up to date"),
        ("flake update nixpkgs", "only this one"),
    ]),
    ("hash convert", &[("hash convert --to sri --hash-algo sha256 0hpkj3x1aznxnxz6z6bhd7pbx0bxlpxckjmp0pqyqbb0k9x6jgyp", "a hash as packages have it")]),
    ("hash path", &[("hash path ./src", "the hash of a folder as an input")]),
    ("key generate-secret", &[("key generate-secret --key-name cache.example.org-1", "a key to sign store paths with")]),
    ("log", &[("log nixpkgs#hello", "what the build of a package said")]),
    ("path-info", &[
        ("path-info -S nixpkgs#hello", "how large a package is with all it needs"),
        ("path-info --json --recursive .#hello", "all that is known about it and what it needs"),
    ]),
    ("registry pin", &[("registry pin nixpkgs", "keep 'nixpkgs' at its version of today")]),
    ("run", &[
        ("run nixpkgs#jq -- --version", "run a program without installing it"),
        ("run", "run the default program of the flake in this folder"),
    ]),
    ("search", &[("search nixpkgs python html", "packages whose name or description matches both")]),
    ("shell", &[
        ("shell nixpkgs#jq nixpkgs#curl", "a shell with two programs"),
        ("shell nixpkgs#jq -c jq --version", "run one command there"),
    ]),
    ("store gc", &[("store gc --max 10G", "delete what nothing needs, at most 10 GiB")]),
    ("store optimise", &[("store optimise", "keep identical files only once")]),
    ("store prefetch-file", &[("store prefetch-file --json https://example.org/x.tar.gz", "download a file and tell its hash")]),
    ("store sign", &[("store sign --key-file secret.key --recursive ./result", "sign a package and all it needs")]),
    ("store verify", &[("store verify --all", "compare every path of the store with its hash")]),
    ("why-depends", &[("why-depends .#image nixpkgs#perl", "which file refers to a package, step by step")]),
];

#[cfg(test)]
mod tests {
    use super::super::flags::{COMMON, REST};
    use super::super::{COMMANDS, GLOBAL};
    use super::EXAMPLES;

    /// Examples that do not work would be worse than none.
    #[test]
    fn examples_are_of_commands_and_flags_that_exist() {
        for (path, lines) in EXAMPLES {
            let command = COMMANDS.iter().find(|c| c.path == *path);
            let command = command.unwrap_or_else(|| panic!("'{path}' is no command"));
            for (line, _) in *lines {
                let args = line.strip_prefix(path).unwrap_or_else(|| panic!("'{line}'"));
                for word in args.split(' ').take_while(|w| *w != "--") {
                    if !word.starts_with('-') {
                        continue;
                    }
                    let mut groups = command.flags.iter().chain([&GLOBAL, &COMMON]);
                    let flag = groups.find_map(|g| g.iter().find(|f| f.is(word)));
                    let flag = flag.unwrap_or_else(|| panic!("'{word}' in '{line}'"));
                    if flag.labels == [REST] {
                        break;
                    }
                }
            }
        }
    }
}
