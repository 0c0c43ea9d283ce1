# Functions on attribute sets.
{ lib }:
let
  inherit (builtins)
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elemAt
    filter
    foldl'
    genList
    getAttr
    groupBy
    hasAttr
    head
    intersectAttrs
    isAttrs
    isString
    length
    listToAttrs
    map
    mapAttrs
    removeAttrs
    tail
    throw
    zipAttrsWith
    ;

  # The value at a path, or the default. A path that is not there may end early because of a value that is not a set.
  attrByPath =
    path: default: set:
    let
      depth = length path;
      descend =
        i: value:
        if i == depth then
          value
        else
          let
            name = elemAt path i;
          in
          if value ? ${name} then descend (i + 1) value.${name} else default;
    in
    descend 0 set;

  hasAttrByPath =
    path: set:
    let
      depth = length path;
      descend =
        i: value:
        i == depth
        || (
          let
            name = elemAt path i;
          in
          value ? ${name} && descend (i + 1) value.${name}
        );
    in
    descend 0 set;

  setAttrByPath =
    path: value:
    let
      depth = length path;
      build = i: if i == depth then value else { ${elemAt path i} = build (i + 1); };
    in
    build 0;

  nameValuePair = name: value: { inherit name value; };

  filterAttrs = pred: set: removeAttrs set (filter (name: !pred name set.${name}) (attrNames set));

  mapAttrsToList = f: set: attrValues (mapAttrs f set);

  isDerivation = x: x.type or null == "derivation";

  mapAttrsRecursiveCond =
    cond: f: set:
    let
      recurse =
        path:
        mapAttrs (
          name: value:
          if isAttrs value && cond value then recurse (path ++ [ name ]) value else f (path ++ [ name ]) value
        );
    in
    recurse [ ] set;

  mapAttrsToListRecursiveCond =
    cond: f: set:
    let
      recurse =
        path: value:
        if isAttrs value && cond path value then
          concatLists (mapAttrsToList (name: recurse (path ++ [ name ])) value)
        else
          [ (f path value) ];
    in
    recurse [ ] set;

  # Names of all the sets, each once, in the order of their first appearance being irrelevant: sorted.
  zipAttrsWithNames =
    names: f: sets:
    listToAttrs (
      map (name: {
        inherit name;
        value = f name (builtins.catAttrs name sets);
      }) names
    );

  recursiveUpdateUntil =
    pred: lhs: rhs:
    let
      merge =
        path: l: r:
        l
        // mapAttrs (
          name: new:
          if l ? ${name} then
            let
              old = l.${name};
              here = path ++ [ name ];
            in
            if pred here old new then new else merge here old new
          else
            new
        ) r;
    in
    merge [ ] lhs rhs;

  recursiveUpdate =
    let
      merge =
        l: r:
        l
        // mapAttrs (
          name: new:
          if l ? ${name} && isAttrs new && isAttrs l.${name} then merge l.${name} new else new
        ) r;
    in
    merge;

  # A balanced tree of `//`, so that n sets cost n·log n copies and not n².
  mergeAttrsList =
    list:
    let
      merge =
        from: to:
        if to - from == 1 then
          elemAt list from
        else
          let
            middle = (from + to) / 2;
          in
          merge from middle // merge middle to;
    in
    if list == [ ] then { } else merge 0 (length list);

  getOutput = output: pkg: if !pkg ? outputSpecified || !pkg.outputSpecified then pkg.${output} or pkg.out or pkg else pkg;

  getFirstOutput =
    candidates: pkg:
    let
      found = lib.lists.findFirst (name: pkg ? ${name}) null candidates;
    in
    if pkg.outputSpecified or false || found == null then pkg else pkg.${found};

  cartesianProduct =
    sets:
    foldl' (
      combinations: name: concatMap (combination: map (value: combination // { ${name} = value; }) sets.${name}) combinations
    ) [ { } ] (attrNames sets);

  showAttrPath = path: if path == [ ] then "<root attribute path>" else concatStringsSep "." (map lib.strings.escapeNixIdentifier path);
in
{
  inherit (builtins)
    attrNames
    attrValues
    catAttrs
    getAttr
    hasAttr
    intersectAttrs
    isAttrs
    listToAttrs
    mapAttrs
    removeAttrs
    ;

  inherit
    attrByPath
    cartesianProduct
    filterAttrs
    getFirstOutput
    getOutput
    hasAttrByPath
    isDerivation
    mapAttrsRecursiveCond
    mapAttrsToList
    mapAttrsToListRecursiveCond
    mergeAttrsList
    nameValuePair
    recursiveUpdate
    recursiveUpdateUntil
    setAttrByPath
    showAttrPath
    zipAttrsWith
    zipAttrsWithNames
    ;

  # ## paths
  getAttrFromPath =
    path: set: attrByPath path (abort "cannot find attribute '${concatStringsSep "." path}'") set;

  # The longest prefix of a path that leads to a value.
  longestValidPathPrefix =
    path: set:
    let
      depth = length path;
      descend =
        i: value:
        if i == depth then
          i
        else
          let
            name = elemAt path i;
          in
          if value ? ${name} then descend (i + 1) value.${name} else i;
    in
    lib.lists.take (descend 0 set) path;

  # Applies many changes in one walk: `[ { path = [ "a" "b" ]; update = old: new; } … ]`.
  updateManyAttrsByPath =
    let
      apply =
        depth: updates: hasValue: value:
        let
          # `right` ends here, `wrong` goes deeper.
          split = builtins.partition (u: length u.path == depth) updates;
          below = groupBy (u: elemAt u.path depth) split.wrong;
          # What the deeper updates make of the value.
          nested =
            if split.wrong == [ ] then
              value
            else if !hasValue then
              mapAttrs (_: changes: apply (depth + 1) changes false null) below
            else if isAttrs value then
              value
              // mapAttrs (
                name: changes: apply (depth + 1) changes (value ? ${name}) (value.${name} or null)
              ) below
            else
              throw "updateManyAttrsByPath: Path '${showAttrPath (lib.lists.take depth (head split.wrong).path)}' is applied to a value of type ${builtins.typeOf value}, but it needs to be a set to be able to update attributes in it.";
          missing =
            throw "updateManyAttrsByPath: Path '${
              showAttrPath (lib.lists.take depth (head split.right).path)
            }' does not exist in the given value, but the first update to this path tries to access the existing value.";
        in
        if split.right == [ ] then
          nested
        else
          foldl' (acc: u: u.update acc) (if hasValue || split.wrong != [ ] then nested else missing) split.right;
    in
    updates: value: apply 0 updates true value;

  # ## selecting
  attrVals = names: set: map (name: set.${name}) names;
  getAttrs =
    names: set:
    listToAttrs (
      map (name: {
        inherit name;
        value = set.${name};
      }) names
    );
  optionalAttrs = cond: set: if cond then set else { };
  filterAttrsRecursive =
    pred:
    let
      keep =
        set:
        mapAttrs (_: value: if isAttrs value then keep value else value) (filterAttrs pred set);
    in
    keep;
  collect =
    pred:
    let
      go =
        value:
        if pred value then
          [ value ]
        else if isAttrs value then
          concatMap go (attrValues value)
        else
          [ ];
    in
    go;
  matchAttrs =
    let
      matches =
        pattern: set:
        if !isAttrs pattern then
          throw "matchAttrs: the pattern must be a set, but is ${builtins.typeOf pattern}"
        else
          builtins.all (
            name:
            set ? ${name}
            && (
              let
                want = pattern.${name};
                have = set.${name};
              in
              if isAttrs want then isAttrs have && matches want have else want == have
            )
          ) (attrNames pattern);
    in
    matches;

  # ## making
  genAttrs =
    names: f:
    listToAttrs (
      map (name: {
        inherit name;
        value = f name;
      }) names
    );
  genAttrs' = list: f: listToAttrs (map f list);
  attrsToList = mapAttrsToList nameValuePair;

  # ## mapping
  mapAttrs' = f: set: listToAttrs (mapAttrsToList f set);
  mapAttrsRecursive = f: set: mapAttrsRecursiveCond (_: true) f set;
  mapAttrsToListRecursive = mapAttrsToListRecursiveCond (_: _: true);
  concatMapAttrs = f: set: mergeAttrsList (mapAttrsToList f set);
  mapCartesianProduct = f: sets: map f (cartesianProduct sets);

  # ## folding
  foldlAttrs =
    f: init: set:
    foldl' (acc: name: f acc name set.${name}) init (attrNames set);
  foldAttrs =
    op: nul: sets:
    # Every value is folded only when its attribute is asked for.
    zipAttrsWith (_: lib.lists.foldr op nul) sets;

  # ## combining
  zipAttrs = zipAttrsWith (_: values: values);
  overrideExisting = old: new: old // intersectAttrs old new;
  unionOfDisjoint =
    a: b:
    let
      shared = attrNames (intersectAttrs a b);
      clash = name: throw "unionOfDisjoint: collision on ${name}; complete list: ${concatStringsSep " " shared}";
    in
    a
    // b
    // listToAttrs (
      map (name: {
        inherit name;
        value = clash name;
      }) shared
    );

  # ## derivations
  recurseIntoAttrs = set: set // { recurseForDerivations = true; };
  dontRecurseIntoAttrs = set: set // { recurseForDerivations = false; };
  # A store path in the shape of a derivation, for functions that want one.
  toDerivation =
    path:
    let
      path' = builtins.storePath path;
      drv = {
        type = "derivation";
        name = lib.strings.sanitizeDerivationName (builtins.substring 33 (-1) (baseNameOf path'));
        outPath = path';
        outputs = [ "out" ];
        out = drv;
        outputName = "out";
      };
    in
    drv;
  getBin = getOutput "bin";
  getLib = getOutput "lib";
  getStatic = getFirstOutput [ "static" "lib" "out" ];
  getDev = getOutput "dev";
  getInclude = getFirstOutput [ "include" "dev" "out" ];
  getMan = getOutput "man";
  chooseDevOutputs = map (getOutput "dev");
}
