//! Entries of builtins that reach files, the store, the network and the environment.

use super::{Entry, entry};

#[rustfmt::skip]
pub(super) const ENTRIES: &[Entry] = &[
    entry("derivationStrict", &["attributes"], "
Makes a derivation of *attributes* and gives the paths of its file, `drvPath`, and of its outputs. `derivation` is
written with this, and is what programs should call.
"),
    entry("exec", &["command"], "
Runs a program, given as the list of its name and arguments, and evaluates what it prints. Only there with the
setting `allow-unsafe-native-code-during-evaluation`.
"),
    entry("fetchClosure", &["arguments"], "
Fetches a store path with all that it refers to from a binary cache. *arguments* is a set with:

- `fromStore`: the cache, such as `https://cache.nixos.org`;
- `fromPath`: the store path there;
- `toPath`: the content-addressed form that it is rewritten to; empty to be told which that is;
- `inputAddressed`: true to take a path that is not content-addressed as it is, which trusts its signatures.

It needs the experimental feature `fetch-closure`.
"),
    entry("fetchGit", &["arguments"], "
Fetches a commit of a Git repository into the store. *arguments* is a URL, or a set with some of:

- `url`: where the repository is; a path means a working tree, with its changes;
- `rev`: the commit; `ref`: the branch or tag, by default the repository's own;
- `name`: the name in the store, by default `source`;
- `submodules`, `shallow`, `allRefs`, `exportIgnore`: whether to fetch more, or less.

The result has `outPath`, `rev`, `shortRev`, `revCount`, `lastModified` and `narHash`. In pure evaluation `rev` must
be given.
"),
    entry("fetchMercurial", &["arguments"], "
Fetches a revision of a Mercurial repository into the store. *arguments* is a URL, or a set with `url`, `rev` and
`name`.
"),
    entry("fetchTarball", &["arguments"], "
Downloads an archive, unpacks it, and gives its path in the store. *arguments* is a URL, or a set with `url`,
`sha256` (of the unpacked tree) and `name`. A folder that is alone in the archive is left out. Without a hash, what was
downloaded is used again for an hour (`tarball-ttl`), and pure evaluation refuses it.
"),
    entry("fetchTree", &["input"], "
Fetches a tree of files, by a reference as flakes have it: a URL such as `github:owner/repo`, or the set of its parts
with the attribute `type`. The result has `outPath`, and what is known of the tree.
"),
    entry("fetchurl", &["arguments"], "
Downloads a file and gives its path in the store. *arguments* is a URL, or a set with `url`, `sha256` and `name`. In
pure evaluation the hash must be given.
"),
    entry("filterSource", &["predicate", "path"], "
Copies a file or folder to the store, without the files of which *predicate* is `false`. It gets a file's path as a
string and its type, as `readFileType` names it. If it is `false` of a folder, what is in it is left out too.
`builtins.path` does the same and can also choose the name.
"),
    entry("findFile", &["search-path", "name"], "
The file that a *name* stands for on a search path, a list of sets with `prefix` and `path`. `<name>` is short for
`builtins.findFile builtins.nixPath \"name\"`.
"),
    entry("getEnv", &["name"], "
The environment variable of this *name*, or the empty string. In restricted and in pure evaluation always the empty
string.
"),
    entry("getFlake", &["reference"], "
Fetches a flake, and gives its outputs with what is known of it. In pure evaluation the *reference* must be locked.

```nix
(builtins.getFlake \"nixpkgs\").lib.version
```
"),
    entry("hashFile", &["algorithm", "path"], "
The hash of a file's contents in base 16. *algorithm* is `md5`, `sha1`, `sha256`, `sha512` or `blake3`.
"),
    entry("import", &["path"], "
The value of the file at *path*, or of `default.nix` if it is a folder. The file sees none of the variables in scope
here. Each file is evaluated once. A derivation is built first; the file of a derivation gives that derivation.
"),
    entry("importNative", &["path", "symbol"], "
Loads a function from a shared library. Only there with the setting `allow-unsafe-native-code-during-evaluation`.
"),
    entry("outputOf", &["derivation", "output"], "
The path of an output of a derivation that may itself be yet to be built. For the experimental feature
`dynamic-derivations`.
"),
    entry("path", &["arguments"], "
Copies a file or folder to the store. *arguments* has the attributes:

- `path`: what to copy;
- `name`: its name in the store, by default the file's own;
- `filter`: which files to take, as for `filterSource`;
- `recursive`: `false` to hash a file's contents alone;
- `sha256`: what it must hash to.
"),
    entry("pathExists", &["path"], "
Whether there is a file or folder at *path*. With a slash at the end, whether there is a folder.
"),
    entry("placeholder", &["output"], "
A string that stands for the path of this *output* in the attributes of a derivation. It is replaced when the
derivation is built.
"),
    entry("readDir", &["path"], "
What is in a folder: a set with the names of the files, and as values their types, as `readFileType` names them.

```nix
builtins.readDir ./.
=> { \"default.nix\" = \"regular\"; src = \"directory\"; }
```
"),
    entry("readFile", &["path"], "
The contents of the file at *path* as a string. A file with zero bytes in it cannot be read.
"),
    entry("readFileType", &["path"], "
What is at *path*: `regular`, `directory`, `symlink` or `unknown`.
"),
    entry("scopedImport", &["scope", "path"], "
As `import`, but the file sees the attributes of the set *scope* as variables, before all builtins. The file is
evaluated anew each time.
"),
    entry("storePath", &["path"], "
A path that is in the store already, as a string that refers to it. Pure evaluation refuses it.
"),
];
