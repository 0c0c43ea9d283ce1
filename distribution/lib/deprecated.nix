# Functions that old expressions still call, and hashes of nothing for what is not known yet.
{ lib }:
let
  inherit (builtins)
    all
    attrNames
    attrValues
    concatLists
    concatMap
    filter
    foldl'
    genericClosure
    hasAttr
    head
    isAttrs
    isFunction
    isList
    listToAttrs
    map
    tail
    throw
    typeOf
    ;

  # All packages that propagate from the given ones.
  closurePropagation =
    packages:
    let
      flat = filter (p: p != null) (lib.lists.flatten packages);
    in
    map (entry: entry.val) (genericClosure {
      startSet = map (p: {
        key = p.outPath;
        val = p;
      }) flat;
      operator =
        entry:
        map
          (p: {
            key = p.outPath;
            val = p;
          })
          (
            filter (p: p != null) (
              entry.val.propagatedBuildInputs or [ ] ++ entry.val.propagatedNativeBuildInputs or [ ]
            )
          );
    });

  zeros = n: builtins.concatStringsSep "" (builtins.genList (_: "0") n);
in
{
  fakeHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  fakeSha256 = zeros 64;
  fakeSha512 = zeros 128;

  closePropagation = closurePropagation;
  closePropagationFast = closurePropagation;
  closePropagationSlow = closurePropagation;

  maybeEnv =
    name: default:
    let
      value = builtins.getEnv name;
    in
    if value == "" then default else value;
  maybeAttr = name: default: set: set.${name} or default;
  maybeAttrNullable =
    name: default: set:
    if set == null then default else set.${name} or default;
  ifEnable = cond: value: if cond then value else null;
  setAttr = set: name: value: set // { ${name} = value; };
  getValue = name: value: { ${name} = value; };
  imap = lib.lists.imap1;
  nvs = name: value: listToAttrs [ (lib.attrsets.nameValuePair name value) ];
  condConcat =
    name: list: checker:
    if list == [ ] then
      name
    else if checker (head list) then
      lib.misc.condConcat (name + head (tail list)) (tail (tail list)) checker
    else
      lib.misc.condConcat name (tail (tail list)) checker;
  lazyGenericClosure =
    { startSet, operator }:
    let
      work =
        todo: done: result:
        if todo == [ ] then
          result
        else
          let
            x = head todo;
          in
          if builtins.elem x.key done then
            work (tail todo) done result
          else
            work (tail todo ++ operator x) ([ x.key ] ++ done) ([ x ] ++ result);
    in
    work startSet [ ] [ ];
  nixType =
    x:
    if isAttrs x then
      if x ? outPath then "derivation" else "attrs"
    else if isFunction x then
      "function"
    else if isList x then
      "list"
    else if x == true || x == false then
      "bool"
    else
      typeOf x;
  uniqList =
    {
      inputList,
      acc ? [ ],
    }:
    lib.lists.unique (acc ++ inputList);
  mergeAttrsNoOverride =
    {
      mergeLists ? [ "buildInputs" "propagatedBuildInputs" ],
      overrideSnd ? [ "buildPhase" ],
    }:
    a: b:
    foldl' (
      acc: name:
      if acc ? ${name} then
        if builtins.elem name mergeLists then
          acc // { ${name} = acc.${name} ++ b.${name}; }
        else if builtins.elem name overrideSnd then
          acc // { ${name} = b.${name}; }
        else
          throw "duplicate attribute ${name}"
      else
        acc // { ${name} = b.${name}; }
    ) a (attrNames b);
  mergeAttrsConcatenateValues = foldl' (
    a: b:
    a
    // builtins.mapAttrs (
      name: value:
      if a ? ${name} then
        a.${name} ++ value
      else
        value
    ) b
  );
}
