# File sets as trees. A tree says of an entry: `null`, no file; a string, the entry's type, all files below it; a set, those
# that the set says of a folder's entries. A file set is a tree at a base folder; without a base it is empty.
{ lib }:
let
  inherit (builtins)
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elemAt
    filter
    foldl'
    genList
    head
    isAttrs
    isPath
    isString
    length
    listToAttrs
    map
    mapAttrs
    readDir
    removeAttrs
    tail
    toString
    ;
  inherit (lib.filesystem) pathType;

  isFileset = v: v._type or null == "fileset";

  make = base: tree: {
    _type = "fileset";
    _base = base;
    _tree = tree;
    # Shown where one is printed or coerced by mistake.
    __noEval = throw ''
      lib.fileset: Directly evaluating a file set is not supported.
        To turn it into a usable source, use `lib.fileset.toSource`.
        To pretty-print the contents, use `lib.fileset.trace` or `lib.fileset.traceVal`.'';
  };

  empty = removeAttrs (make null null) [ "__noEval" ];

  create = path: type: if type == "directory" then make path "directory" else make (dirOf path) { ${baseNameOf path} = type; };

  # The entries of a folder, in full.
  entries = path: tree: if isString tree then mapAttrs (_: type: type) (readDir path) else tree;

  parts = path: lib.path.subpath.components (lib.path.splitRoot path).subpath;
  rootOf = path: (lib.path.splitRoot path).root;

  # The tree seen from a folder higher up.
  lift =
    names: tree:
    let
      n = length names;
      build = i: if i == n then tree else { ${elemAt names i} = build (i + 1); };
    in
    build 0;

  commonBase =
    a: b:
    let
      pa = parts a;
      pb = parts b;
      shared = lib.lists.commonPrefix pa pb;
      depth = length shared;
      base = lib.path.append (rootOf a) (if shared == [ ] then "." else concatStringsSep "/" shared);
    in
    {
      inherit base;
      restA = lib.lists.drop depth pa;
      restB = lib.lists.drop depth pb;
    };

  # Both trees on one base, combined entry by entry.
  combine =
    f: a: b:
    let
      c = commonBase a._base b._base;
    in
    make c.base (f c.base (lift c.restA a._tree) (lift c.restB b._tree));

  unionTree =
    path: a: b:
    if isString a || b == null then
      a
    else if isString b || a == null then
      b
    else
      a // mapAttrs (name: tb: if a ? ${name} then unionTree (path + "/${name}") a.${name} tb else tb) b;

  intersectionTree =
    path: a: b:
    if a == null || b == null then
      null
    else if isString a then
      b
    else if isString b then
      a
    else
      mapAttrs (name: ta: intersectionTree (path + "/${name}") ta b.${name}) (builtins.intersectAttrs b a);

  differenceTree =
    path: a: b:
    if a == null || isString b then
      null
    else if b == null then
      a
    else
      # A folder of which something is missing must be listed.
      mapAttrs (
        name: ta: if b ? ${name} then differenceTree (path + "/${name}") ta b.${name} else ta
      ) (entries path a);

  # Whether any file is in a tree; an empty folder has none.
  hasFiles =
    path: tree:
    if tree == null then
      false
    else if isString tree then
      tree != "directory" || (let es = readDir path; in any (name: hasFiles (path + "/${name}") es.${name}) (attrNames es))
    else
      any (name: hasFiles (path + "/${name}") tree.${name}) (attrNames tree);
in
{
  inherit isFileset empty create;
  baseOf = set: set._base;

  union =
    a: b:
    if a._base == null then
      b
    else if b._base == null then
      a
    else
      combine unionTree a b;

  intersection =
    a: b: if a._base == null || b._base == null then empty else combine intersectionTree a b;

  difference = a: b: if a._base == null || b._base == null then a else combine differenceTree a b;

  filterFiles =
    predicate: path:
    let
      take =
        name: type:
        predicate {
          inherit name type;
          hasExt = ext: lib.strings.hasSuffix ".${ext}" name;
        };
      go =
        path: name: type:
        if type == "directory" then
          mapAttrs (name: type: go (path + "/${name}") name type) (readDir path)
        else if take name type then
          type
        else
          null;
    in
    if pathType path == "directory" then
      make path (go path (baseNameOf path) "directory")
    else
      make (dirOf path) { ${baseNameOf path} = go path (baseNameOf path) (pathType path); };

  filterTree =
    keep: path:
    let
      go =
        path: type:
        if !keep (toString path) type then
          null
        else if type == "directory" then
          mapAttrs (name: type: go (path + "/${name}") type) (readDir path)
        else
          type;
    in
    if pathType path == "directory" then
      make path (mapAttrs (name: type: go (path + "/${name}") type) (readDir path))
    else
      make (dirOf path) { ${baseNameOf path} = go path (pathType path); };

  isBelow = root: set: set._base == null || lib.path.hasPrefix root set._base;

  toList =
    set:
    let
      go =
        path: tree:
        if tree == null then
          [ ]
        else if isString tree && tree != "directory" then
          [ path ]
        else
          let
            es = entries path tree;
          in
          concatMap (name: go (path + "/${name}") es.${name}) (attrNames es);
    in
    if set._base == null then [ ] else go set._base set._tree;

  # The filter of a source at `root`: a folder is taken if any file below it is.
  toFilter =
    root: set:
    if set._base == null then
      _: _: false
    else
      let
        lifted = lift (lib.path.subpath.components (lib.path.removePrefix root set._base)) set._tree;
        prefixLength = builtins.stringLength (toString root) + 1;
        at =
          tree: names:
          if names == [ ] || tree == null || isString tree then tree else at (tree.${head names} or null) (tail names);
      in
      pathString: type:
      let
        relative = builtins.substring prefixLength (-1) pathString;
        below = at lifted (lib.strings.splitString "/" relative);
      in
      # Below a folder of which everything is taken, the entry is what it is.
      hasFiles (root + "/${relative}") (if isString below then type else below);

  show =
    set:
    let
      lines =
        indent: path: tree:
        concatMap (
          name:
          let
            t = tree.${name};
            here = path + "/${name}";
          in
          if !hasFiles here t then
            [ ]
          else if isString t then
            [ "${indent}- ${name} (${if t == "directory" then "all files in directory" else t})" ]
          else
            [ "${indent}- ${name}" ] ++ lines "${indent}  " here t
        ) (attrNames tree);
    in
    if set._base == null || !hasFiles set._base set._tree then
      "(empty)"
    else if isString set._tree then
      "${toString set._base} (all files in directory)"
    else
      concatStringsSep "\n" ([ (toString set._base) ] ++ lines "" set._base set._tree);

  gitTracked =
    {
      recurseSubmodules ? false,
    }:
    path:
    let
      fetched =
        if lib.trivial.inPureEvalMode && lib.path.hasStorePathPrefix path then
          path
        else
          (builtins.fetchGit {
            url = path;
            shallow = true;
            ${if recurseSubmodules then "submodules" else null} = true;
          }).outPath;
      # The fetched tree has what is tracked; its shape on the folder itself is the set.
      shape = dir: mapAttrs (name: type: if type == "directory" then shape "${dir}/${name}" else type) (readDir dir);
    in
    if !isPath path then
      throw "lib.fileset.gitTracked: Expected the argument to be a path, but it's a ${builtins.typeOf path} instead."
    else if !builtins.pathExists (path + "/.git") then
      throw "lib.fileset.gitTracked: Expected the argument (${toString path}) to point to a local working tree of a Git repository, but it's not."
    else
      make path (shape fetched);
}
