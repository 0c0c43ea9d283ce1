# Types of strings.
{
  lib,
  base,
  types,
}:
let
  inherit (builtins)
    concatStringsSep
    head
    isString
    map
    match
    replaceStrings
    split
    ;
  inherit (base) mkOptionType;
  inherit (lib.options) mergeEqualOption;

  str = mkOptionType {
    name = "str";
    description = "string";
    descriptionClass = "noun";
    check = isString;
    merge = mergeEqualOption;
  };

  separatedString =
    sep:
    mkOptionType {
      name = "separatedString";
      description =
        if sep == "" then "Concatenated string" else "strings concatenated with ${builtins.toJSON sep}";
      descriptionClass = "noun";
      check = isString;
      merge = _loc: defs: concatStringsSep sep (map (def: def.value) defs);
      functor = base.defaultFunctor "separatedString" // {
        type = payload: separatedString payload.sep;
        payload = { inherit sep; };
        binOp = a: b: if a.sep == b.sep then { inherit (a) sep; } else null;
      };
    };

  isBlank = s: match "[ \t\n]*" s != null;

  singleLineStr =
    let
      isLine = s: match "[^\n\r]*\n?" s != null;
    in
    mkOptionType {
      name = "singleLineStr";
      description = "(optionally newline-terminated) single-line string";
      descriptionClass = "noun";
      check = x: isString x && isLine x;
      merge = loc: defs: lib.strings.removeSuffix "\n" (mergeEqualOption loc defs);
    };

  strMatching =
    pattern:
    mkOptionType {
      name = "strMatching ${lib.strings.escapeNixString pattern}";
      description = "string matching the pattern ${pattern}";
      descriptionClass = "noun";
      check = x: isString x && match pattern x != null;
      merge = mergeEqualOption;
      functor = base.defaultFunctor "strMatching" // {
        type = payload: strMatching payload.pattern;
        payload = { inherit pattern; };
        binOp = a: b: if a == b then a else null;
      };
    };
in
{
  inherit
    str
    separatedString
    singleLineStr
    strMatching
    ;

  lines = separatedString "\n";
  commas = separatedString ",";
  envVar = separatedString ":";

  nonEmptyStr = mkOptionType {
    name = "nonEmptyStr";
    description = "non-empty string";
    descriptionClass = "noun";
    check = x: isString x && !isBlank x;
    inherit (str) merge;
  };

  # A field of /etc/passwd.
  passwdEntry =
    entry:
    types.addCheck entry (x: !(lib.strings.hasInfix ":" x || lib.strings.hasInfix "\n" x))
    // {
      name = "passwdEntry ${entry.name}";
      description = "${
        base.optionDescriptionPhrase (class: class == "noun") entry
      }, not containing newlines or colons";
      descriptionClass = "nonRestrictiveClause";
    };

  luaInline = mkOptionType {
    name = "luaInline";
    description = "inline lua";
    descriptionClass = "noun";
    check = x: x._type or null == "lua-inline";
    merge = lib.options.mergeEqualOption;
  };
}
