//! Entries of builtins for strings, their contexts, and texts in other formats.

use super::{Entry, entry};

#[rustfmt::skip]
pub(super) const ENTRIES: &[Entry] = &[
    entry("addDrvOutputDependencies", &["string"], "
*string*, which must refer to one derivation in the store, such that it needs that derivation with all its outputs
and inputs, and not just its file.
"),
    entry("appendContext", &["string", "context"], "
*string* with what it refers to extended by *context*, a set as `getContext` gives it.
"),
    entry("baseNameOf", &["path"], "
The last part of a path or of a string that looks like one: what follows the last slash. A slash at the very end
does not count.

```nix
baseNameOf \"/a/b.nix\"
=> \"b.nix\"
```
"),
    entry("compareVersions", &["a", "b"], "
Compares two versions part by part: -1 if *a* is older, 0 if they are equal, 1 if *a* is newer. Numbers are
compared as numbers, and a part `pre` comes before everything.

```nix
builtins.compareVersions \"1.10\" \"1.9\"
=> 1
```
"),
    entry("concatStringsSep", &["separator", "list"], "
The strings of *list* in one, with *separator* between them.

```nix
builtins.concatStringsSep \"/\" [ \"usr\" \"bin\" ]
=> \"usr/bin\"
```
"),
    entry("convertHash", &["arguments"], "
A hash in another notation. *arguments* has the attributes:

- `hash`: the hash, in any notation;
- `hashAlgo`: `md5`, `sha1`, `sha256`, `sha512` or `blake3`, unless the hash itself says so;
- `toHashFormat`: `base16`, `nix32`, `base64` or `sri`.
"),
    entry("dirOf", &["path"], "
All but the last part of a path or of a string that looks like one. Of a path it is a path, of a string a string.
"),
    entry("flakeRefToString", &["attributes"], "
A reference to a flake as a URL, from the set of its parts.

```nix
builtins.flakeRefToString { type = \"github\"; owner = \"o\"; repo = \"r\"; }
=> \"github:o/r\"
```
"),
    entry("fromJSON", &["text"], "
The value that a text in JSON stands for. Objects become sets, arrays lists.

```nix
builtins.fromJSON \"{ \\\"a\\\": [ 1, null ] }\"
=> { a = [ 1 null ]; }
```
"),
    entry("fromTOML", &["text"], "
The value that a text in TOML stands for. Tables become sets.
"),
    entry("getContext", &["string"], "
What *string* refers to in the store: a set with the paths as names. Each value has `path = true` for a plain
reference, `outputs` with the outputs of a derivation, or `allOutputs = true`.
"),
    entry("hasContext", &["string"], "
Whether *string* refers to anything in the store, so that using it in a derivation makes that an input.
"),
    entry("hashString", &["algorithm", "string"], "
The hash of *string* in base 16. *algorithm* is `md5`, `sha1`, `sha256`, `sha512` or `blake3`.
"),
    entry("match", &["regex", "string"], "
Matches the whole of *string* against a POSIX extended regular expression. The result is the list of what the groups
matched, `null` for those that took no part; or `null` if there is no match.

```nix
builtins.match \"([a-z]+)-([0-9]+)\" \"hello-12\"
=> [ \"hello\" \"12\" ]
```
"),
    entry("parseDrvName", &["name"], "
Divides the name of a package into `name` and `version`, which begins at the first dash that no letter follows.

```nix
builtins.parseDrvName \"hello-2.12\"
=> { name = \"hello\"; version = \"2.12\"; }
```
"),
    entry("parseFlakeRef", &["url"], "
The parts of a reference to a flake, as a set. `flakeRefToString` does the reverse.
"),
    entry("replaceStrings", &["from", "to", "string"], "
*string* with each occurrence of a string of the list *from* replaced by the one at the same place of *to*. It goes
through *string* once; where several strings of *from* would fit, the first one counts.

```nix
builtins.replaceStrings [ \"a\" \"b\" ] [ \"b\" \"a\" ] \"abc\"
=> \"bac\"
```
"),
    entry("split", &["regex", "string"], "
Divides *string* where a POSIX extended regular expression matches. The result has the pieces in between as
strings, and for each match the list of what its groups matched.

```nix
builtins.split \"(,)\" \"a,b\"
=> [ \"a\" [ \",\" ] \"b\" ]
```
"),
    entry("splitVersion", &["version"], "
The parts of a version as `compareVersions` sees them.

```nix
builtins.splitVersion \"1.2pre3\"
=> [ \"1\" \"2\" \"pre\" \"3\" ]
```
"),
    entry("stringLength", &["string"], "
How long *string* is, in bytes.
"),
    entry("substring", &["start", "length", "string"], "
The piece of *string* that begins at byte *start*, counted from 0, and has at most *length* bytes; with a negative
*length* it goes to the end. *start* must not be negative.

```nix
builtins.substring 1 2 \"hello\"
=> \"el\"
```
"),
    entry("toFile", &["name", "text"], "
Writes *text* to a file of this *name* in the store, and gives its path. The text may refer to other paths in the
store, but not to derivations that are yet to be built.
"),
    entry("toJSON", &["value"], "
*value* as JSON. It is evaluated with everything in it. A path is copied to the store and stands for its path there,
a derivation for the path of its output, a set with `__toString` for the string that it gives.
"),
    entry("toPath", &["path"], "
An absolute path as a string. Does little: write `/. + path` to make a path of a string.
"),
    entry("toString", &["value"], "
*value* as a string: numbers in decimal, `true` as `1`, `false` and `null` as the empty string, lists with spaces
between their elements, paths as they are without being copied, sets by their `__toString` or `outPath`.
"),
    entry("toXML", &["value"], "
*value* as XML. It is evaluated with everything in it.
"),
    entry("unsafeDiscardOutputDependency", &["string"], "
*string*, such that where it needed a derivation with all its outputs and inputs, it only needs the derivation's file.
"),
    entry("unsafeDiscardStringContext", &["string"], "
*string* without what it refers to in the store. Used in a derivation, it no longer makes anything an input; that the
path exists when it is needed is then the caller's concern.
"),
];
