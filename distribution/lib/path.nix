# Paths and subpaths. A subpath is a relative path as a string that cannot lead out of where it is appended to:
# "./a/b" in normal form, without "..".
{ lib }:
let
  inherit (builtins)
    all
    concatMap
    elemAt
    foldl'
    genList
    head
    isPath
    isString
    length
    match
    split
    substring
    throw
    toString
    typeOf
    ;
  inherit (lib.strings) concatStringsSep hasPrefix;

  # Why a value is no subpath, or null.
  invalidReason =
    v:
    if !isString v then
      "The given value is of type ${typeOf v}, but a string was expected"
    else if v == "" then
      "The given string is empty"
    else if substring 0 1 v == "/" then
      "The given string \"${v}\" starts with a `/`, representing an absolute path"
    else if match "(.*/)?\\.\\.(/.*)?" v != null then
      "The given string \"${v}\" contains a `..` component, which is not allowed in subpaths"
    else
      null;

  components = s: builtins.filter (part: isString part && part != "" && part != ".") (split "/+" s);
  join = parts: "./${if parts == [ ] then "." else concatStringsSep "/" parts}";

  rootOf =
    let
      go = path: if dirOf path == path then path else go (dirOf path);
    in
    go;

  # A path as its file system root and the names below it.
  deconstruct =
    path:
    let
      go =
        names: base:
        if base == dirOf base then
          {
            root = base;
            components = names;
          }
        else
          go ([ (baseNameOf base) ] ++ names) (dirOf base);
    in
    go [ ] path;

  needPath =
    function: argument: v:
    if isPath v then
      v
    else
      throw "lib.path.${function}: ${argument} argument is of type ${typeOf v}, but a path was expected";

  sameRoot =
    function: a: b: dA: dB:
    if dA.root == dB.root then
      true
    else
      throw ''
        lib.path.${function}: Filesystem roots must be the same for both paths, but paths with different roots were given:
            first argument: "${toString a}" with root "${toString dA.root}"
            second argument: "${toString b}" with root "${toString dB.root}"'';

  startsWith = prefix: names: lib.lists.take (length prefix) names == prefix;

  subpathError = function: s: reason: throw ''
    lib.path.subpath.${function}: Argument is not a valid subpath string:
        ${reason}'';
in
{
  append =
    path: subpath:
    if !isPath path then
      throw "lib.path.append: The first argument is of type ${typeOf path}, but a path was expected"
    else
      let
        reason = invalidReason subpath;
      in
      if reason != null then
        throw ''
          lib.path.append: Second argument is not a valid subpath string:
              ${reason}''
      else
        path + ("/" + subpath);

  hasPrefix =
    a:
    if !isPath a then
      throw "lib.path.hasPrefix: First argument is of type ${typeOf a}, but a path was expected"
    else
      let
        dA = deconstruct a;
      in
      b:
      if !isPath b then
        throw "lib.path.hasPrefix: Second argument is of type ${typeOf b}, but a path was expected"
      else
        let
          dB = deconstruct b;
        in
        sameRoot "hasPrefix" a b dA dB && startsWith dA.components dB.components;

  removePrefix =
    a:
    if !isPath a then
      throw "lib.path.removePrefix: First argument is of type ${typeOf a}, but a path was expected."
    else
      let
        dA = deconstruct a;
      in
      b:
      if !isPath b then
        throw "lib.path.removePrefix: Second argument is of type ${typeOf b}, but a path was expected."
      else
        let
          dB = deconstruct b;
        in
        if sameRoot "removePrefix" a b dA dB && startsWith dA.components dB.components then
          join (lib.lists.drop (length dA.components) dB.components)
        else
          throw ''
            lib.path.removePrefix: The first path argument "${toString a}" is not a component-wise prefix of the second path argument "${toString b}".'';

  splitRoot =
    path:
    if !isPath path then
      throw "lib.path.splitRoot: Argument is of type ${typeOf path}, but a path was expected"
    else
      let
        d = deconstruct path;
      in
      {
        inherit (d) root;
        subpath = join d.components;
      };

  hasStorePathPrefix =
    path:
    if !isPath path then
      throw "lib.path.hasStorePathPrefix: Argument is of type ${typeOf path}, but a path was expected"
    else
      let
        d = deconstruct path;
        store = components builtins.storeDir;
        depth = length store;
      in
      (startsWith store d.components
        && length d.components > depth
        && match "[0-9a-df-np-sv-z]{32}-.*" (elemAt d.components depth) != null)
      # A lazy tree's root is itself a store path.
      || (d.components == [ ] && match ".*/[0-9a-df-np-sv-z]{32}-.*" (toString d.root) != null);

  subpath = {
    isValid = v: invalidReason v == null;

    normalise =
      s:
      let
        reason = invalidReason s;
      in
      if reason != null then subpathError "normalise" s reason else join (components s);

    components =
      s:
      let
        reason = invalidReason s;
      in
      if reason != null then
        throw ''
          lib.path.subpath.components: Argument is not a valid subpath string:
              ${reason}''
      else
        components s;

    join =
      list:
      join (
        builtins.concatLists (
          genList (
            i:
            let
              s = elemAt list i;
              reason = invalidReason s;
            in
            if reason != null then
              throw ''
                lib.path.subpath.join: Element at index ${toString i} is not a valid subpath string:
                    ${reason}''
            else
              components s
          ) (length list)
        )
      );
  };
}
