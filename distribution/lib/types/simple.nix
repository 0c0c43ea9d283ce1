# Types of single values other than strings.
{
  lib,
  base,
  types,
}:
let
  inherit (builtins)
    all
    any
    concatMap
    elem
    elemAt
    head
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isString
    map
    match
    substring
    tail
    throw
    toString
    typeOf
    ;
  inherit (base) mkOptionType optionDescriptionPhrase;
  inherit (lib.options)
    mergeEqualOption
    mergeOneOption
    showDefs
    showFiles
    showOption
    ;
  getFiles = map (def: def.file);

  int = mkOptionType {
    name = "int";
    description = "signed integer";
    descriptionClass = "noun";
    check = isInt;
    merge = mergeEqualOption;
  };
  float = mkOptionType {
    name = "float";
    description = "floating point number";
    descriptionClass = "noun";
    check = isFloat;
    merge = mergeEqualOption;
  };
  number = types.either int float;

  atLeastAndBelow =
    bits: name: from: to:
    types.addCheck int (n: n >= from && n <= to)
    // {
      inherit name;
      description = "${toString bits} bit ${if from == 0 then "un" else ""}signed integer; between ${toString from} and ${toString to} (both inclusive)";
    };

  pow = n: if n == 0 then 1 else 2 * pow (n - 1);
  unsignedOf = bits: atLeastAndBelow bits "unsignedInt${toString bits}" 0 (pow bits - 1);
  signedOf = bits: atLeastAndBelow bits "signedInt${toString bits}" (0 - pow (bits - 1)) (pow (bits - 1) - 1);

  between =
    kind: base': lowest: highest:
    if lowest > highest then
      throw "${kind}.between: lowest must be smaller than highest"
    else
      types.addCheck base' (x: x >= lowest && x <= highest);

  isStorePathLike =
    x:
    lib.strings.isStringLike x
    && substring 0 1 (toString x) == "/"
    # Below the store, but not the store itself or its hidden folders.
    && match "${builtins.storeDir}/[^./].*" (builtins.unsafeDiscardStringContext (toString x)) != null;


  pathWith =
    {
      inStore ? null,
      absolute ? null,
    }:
    if inStore != null && absolute != null && inStore && !absolute then
      throw "In pathWith, inStore means the path must be absolute"
    else
      mkOptionType {
        name = "path";
        description =
          (
            if absolute == null then
              ""
            else if absolute then
              "absolute "
            else
              "relative "
          )
          + "path"
          + (
            if inStore == null then
              ""
            else if inStore then
              " in the Nix store"
            else
              " not in the Nix store"
          );
        descriptionClass = "noun";
        merge = mergeEqualOption;
        functor = base.defaultFunctor "path" // {
          type = pathWith;
          payload = { inherit inStore absolute; };
          binOp = a: b: if a == b then a else null;
        };
        check =
          x:
          let
            isInStore = lib.strings.isStorePath x || isStorePathLike x;
            isAbsolute = substring 0 1 (toString x) == "/";
          in
          lib.strings.isStringLike x
          && (inStore == null || inStore == isInStore)
          && (absolute == null || absolute == isAbsolute);
      };

  package = mkOptionType {
    name = "package";
    descriptionClass = "noun";
    check = x: x.type or null == "derivation" || lib.strings.isStorePath x;
    merge =
      loc: defs:
      let
        value = mergeOneOption loc defs;
      in
      if builtins.isPath value || (isString value && !builtins.hasContext value) then
        lib.attrsets.toDerivation value
      else
        value;
  };

  # Merges whatever it is given as far as that makes sense: sets by attribute, functions by result, the rest if equal.
  anything = mkOptionType {
    name = "anything";
    description = "anything";
    descriptionClass = "noun";
    check = _: true;
    merge =
      loc: defs:
      let
        kindOf =
          v:
          if isAttrs v && lib.strings.isStringLike v then
            "stringCoercibleSet"
          else
            typeOf v;
        kind = kindOf (head defs).value;
        commonType = builtins.foldl' (
          kind: def:
          if kindOf def.value == kind then
            kind
          else
            throw "The option `${showOption loc}' has conflicting option types in ${showFiles (getFiles defs)}"
        ) kind defs;
      in
      if commonType == "set" then
        (types.lazyAttrsOf anything).merge loc defs
      else if commonType == "list" then
        if tail defs == [ ] then (types.listOf anything).merge loc defs else mergeEqualOption loc defs
      else if commonType == "stringCoercibleSet" then
        mergeOneOption loc defs
      else if commonType == "lambda" then
        x:
        anything.merge (loc ++ [ "<function body>" ]) (
          map (def: {
            inherit (def) file;
            value = def.value x;
          }) defs
        )
      else
        mergeEqualOption loc defs;
  };

  rename = name: description: type: type // { inherit name description; };
in
{
  inherit
    anything
    float
    int
    number
    package
    pathWith
    ;

  raw = mkOptionType {
    name = "raw";
    description = "raw value";
    descriptionClass = "noun";
    check = _: true;
    merge = mergeOneOption;
  };

  unspecified = mkOptionType {
    name = "unspecified";
    description = "unspecified value";
    descriptionClass = "noun";
  };

  bool = mkOptionType {
    name = "bool";
    description = "boolean";
    descriptionClass = "noun";
    check = isBool;
    merge = mergeEqualOption;
  };

  boolByOr = mkOptionType {
    name = "boolByOr";
    description = "boolean (merged using or)";
    descriptionClass = "noun";
    check = isBool;
    merge =
      loc: defs:
      # Every definition is looked at, so that an error in one does not depend on the others.
      builtins.foldl' (acc: def: def.value || acc) false defs;
  };

  ints = {
    between =
      lowest: highest:
      rename "intBetween" "integer between ${toString lowest} and ${toString highest} (both inclusive)" (
        between "ints" int lowest highest
      );
    u8 = unsignedOf 8;
    u16 = unsignedOf 16;
    u32 = unsignedOf 32;
    s8 = signedOf 8;
    s16 = signedOf 16;
    s32 = signedOf 32;
    unsigned =
      types.addCheck int (n: n >= 0)
      // {
        name = "unsignedInt";
        description = "unsigned integer, meaning >=0";
        descriptionClass = "nonRestrictiveClause";
      };
    positive =
      types.addCheck int (n: n > 0)
      // {
        name = "positiveInt";
        description = "positive integer, meaning >0";
        descriptionClass = "nonRestrictiveClause";
      };
  };

  numbers = {
    between =
      lowest: highest:
      rename "numberBetween" "integer or floating point number between ${builtins.toJSON lowest} and ${builtins.toJSON highest} (both inclusive)" (
        between "numbers" number lowest highest
      );
    nonnegative =
      types.addCheck number (n: n >= 0)
      // {
        name = "numberNonnegative";
        description = "nonnegative integer or floating point number, meaning >=0";
        descriptionClass = "nonRestrictiveClause";
      };
    positive =
      types.addCheck number (n: n > 0)
      // {
        name = "numberPositive";
        description = "positive integer or floating point number, meaning >0";
        descriptionClass = "nonRestrictiveClause";
      };
  };

  port = unsignedOf 16;

  path = pathWith { absolute = true; };
  pathInStore = pathWith { inStore = true; };
  externalPath = pathWith {
    absolute = true;
    inStore = false;
  };

  shellPackage = package // {
    check = x: x.type or null == "derivation" && x ? shellPath;
  };

  # A package set.
  pkgs =
    types.addCheck (types.unique { message = "A Nixpkgs pkgs set can not be merged with another pkgs set."; } types.attrs // {
      name = "pkgs";
      descriptionClass = "noun";
      description = "Nixpkgs package set";
    }) (x: x._type or null == "pkgs");

  fileset = mkOptionType {
    name = "fileset";
    description = "fileset";
    descriptionClass = "noun";
    check = lib.fileset.isFileset;
    merge = _loc: defs: lib.fileset.unions (map (def: def.value) defs);
    emptyValue.value = lib.fileset.empty;
  };

  optionType = mkOptionType {
    name = "optionType";
    description = "optionType";
    descriptionClass = "noun";
    check = base.isOptionType;
    merge =
      loc: defs:
      if tail defs == [ ] then
        (head defs).value
      else
        let
          # Types merge as declarations of one option do; each is said to be declared where it was defined.
          declarations = map (def: {
            _file = def.file;
            pos = null;
            options = lib.options.mkOption { type = def.value; };
          }) defs;
          merged = lib.modules.fixupOptionType loc (lib.modules.mergeOptionDecls loc declarations);
        in
        merged.type;
  };

}
