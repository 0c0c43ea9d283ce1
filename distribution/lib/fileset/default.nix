# Sets of files: any selection of files below some folders, as a value that can be combined and then made a source.
{ lib }:
let
  inherit (builtins)
    all
    attrNames
    concatMap
    elem
    elemAt
    filter
    foldl'
    genList
    head
    isAttrs
    isList
    isPath
    isString
    length
    map
    mapAttrs
    pathExists
    readDir
    tail
    throw
    toString
    typeOf
    ;
  inherit (lib.filesystem) pathType;
  tree = import ./tree.nix { inherit lib; };
  inherit (tree)
    create
    empty
    isFileset
    ;

  # A path stands for itself: a file, or all files below a folder.
  coerce =
    context: v:
    if isFileset v then
      v
    else if v ? _isLibCleanSourceWith then
      throw ''
        ${context} is a `lib.sources`-based value, but it should be a file set or a path instead.
            To convert a `lib.sources`-based value to a file set you can use `lib.fileset.fromSource`.
            Note that this only works for sources created from paths.''
    else if !isPath v then
      throw ''
        ${context} is of type ${typeOf v}, but it should be a file set or a path instead.''
      + (
        if lib.strings.isStringLike v && isString v then
          "\n    Paths represented as strings are not supported by `lib.fileset`, use `lib.sources` or derivations instead."
        else
          ""
      )
    else if !pathExists v then
      throw ''
        ${context} (${toString v}) is a path that does not exist.
            To create a file set from a path that may not exist, use `lib.fileset.maybeMissing`.''
    else
      create v (pathType v);

  coerceAll =
    function: list:
    genList (i: coerce "lib.fileset.${function}: Element ${toString i}" (elemAt list i)) (length list);

in
{
  inherit empty;

  # Whether the functions here take the value: a file set, or a path that exists.
  isFileset = v: isFileset v || (isPath v && pathExists v);

  # A path that may not exist: then no files.
  maybeMissing =
    path:
    if !isPath path then
      throw "lib.fileset.maybeMissing: Argument is of type ${typeOf path}, but it should be a path instead."
    else if pathExists path then
      create path (pathType path)
    else
      empty;

  union =
    a: b:
    tree.union (coerce "lib.fileset.union: First argument" a) (
      coerce "lib.fileset.union: Second argument" b
    );

  unions =
    list:
    if !isList list then
      throw "lib.fileset.unions: Argument is of type ${typeOf list}, but it should be a list instead."
    else
      foldl' tree.union empty (coerceAll "unions" list);

  intersection =
    a: b:
    tree.intersection (coerce "lib.fileset.intersection: First argument" a) (
      coerce "lib.fileset.intersection: Second argument" b
    );

  difference =
    a: b:
    tree.difference (coerce "lib.fileset.difference: First argument (positive set)" a) (
      coerce "lib.fileset.difference: Second argument (negative set)" b
    );

  # Files below a path that the predicate takes, by `{ name, type, hasExt }`.
  fileFilter =
    predicate: path:
    if !lib.trivial.isFunction predicate then
      throw "lib.fileset.fileFilter: First argument is of type ${typeOf predicate}, but it should be a function instead."
    else if isFileset path then
      throw ''
        lib.fileset.fileFilter: Second argument is a file set, but it should be a path instead.
            If you need to filter files in a file set, use `intersection fileset (fileFilter pred ./.)` instead.''
    else if !isPath path then
      throw "lib.fileset.fileFilter: Second argument is of type ${typeOf path}, but it should be a path instead."
    else if !pathExists path then
      throw "lib.fileset.fileFilter: Second argument (${toString path}) is a path that does not exist."
    else
      tree.filterFiles predicate path;

  # All files, as paths.
  toList = fileset: tree.toList (coerce "lib.fileset.toList: Argument" fileset);

  toSource =
    {
      root,
      fileset,
    }:
    let
      set = coerce "lib.fileset.toSource: `fileset`" fileset;
      rootType = pathType root;
    in
    if !isPath root then
      if root ? _isLibCleanSourceWith then
        throw ''
          lib.fileset.toSource: `root` is a `lib.sources`-based value, but it should be a path instead.
              To use a `lib.sources`-based value, convert it to a file set using `lib.fileset.fromSource` and pass it as `fileset`.
              Note that this only works for sources created from paths.''
      else if lib.strings.isStringLike root then
        throw ''
          lib.fileset.toSource: `root` (${toString root}) is a string-like value, but it should be a path instead.
              Paths in strings are not supported by `lib.fileset`, use `lib.sources` or derivations instead.''
      else
        throw "lib.fileset.toSource: `root` is of type ${typeOf root}, but it should be a path instead."
    else if !pathExists root then
      throw "lib.fileset.toSource: `root` (${toString root}) is a path that does not exist."
    else if rootType != "directory" then
      throw ''
        lib.fileset.toSource: `root` (${toString root}) is a file, but it should be a directory instead. Potential solutions:
            - If you want to import the file into the store _without_ a containing directory, use string interpolation or `builtins.path` instead of this function.
            - If you want to import the file into the store _with_ a containing directory, set `root` to the containing directory, such as ${toString (dirOf root)}, and set `fileset` to the file path.''
    else if !tree.isBelow root set then
      throw ''
        lib.fileset.toSource: `fileset` could contain files in ${toString (tree.baseOf set)}, which is not under the `root` (${toString root}). Potential solutions:
            - Set `root` to ${toString (tree.baseOf set)} or any directory higher up. This changes the layout of the resulting store path.
            - Set `fileset` to a file set that cannot contain files outside the `root` (${toString root}). This could change the files included in the result.''
    else
      lib.sources.cleanSourceWith {
        name = "source";
        src = root;
        filter = tree.toFilter root set;
      };

  # The files that a source made by `lib.sources` would take.
  fromSource =
    source:
    let
      path = source.origSrc or source;
      keep = source.filter or (_: _: true);
    in
    if !isPath path then
      throw "lib.fileset.fromSource: The source origin (${toString path}) is a string-like value, but it should be a path instead. Sources created from paths in strings cannot be turned into file sets, use `lib.sources` or derivations instead."
    else if !pathExists path then
      throw "lib.fileset.fromSource: The source origin (${toString path}) is a path that does not exist."
    else
      tree.filterTree keep path;

  trace = fileset: value: builtins.trace (tree.show (coerce "lib.fileset.trace: Argument" fileset)) value;
  traceVal = fileset: builtins.trace (tree.show (coerce "lib.fileset.traceVal: Argument" fileset)) fileset;

  # What version control tracks, by the fetcher that flakes use.
  gitTracked = path: tree.gitTracked { } path;
  gitTrackedWith = options: path: tree.gitTracked options path;
}
