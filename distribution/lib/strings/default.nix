# Functions on strings: joining, cutting, comparing, converting. Quoting for other languages is in ./escape.nix, what
# packages need (search paths, versions, build flags) in ./packages.nix.
{ lib }:
let
  inherit (builtins)
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    genList
    head
    isAttrs
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    map
    match
    replaceStrings
    split
    stringLength
    substring
    tail
    throw
    toString
    typeOf
    unsafeDiscardStringContext
    ;
  inherit (lib.trivial) warn;

  escapes = import ./escape.nix { inherit lib; };
  forPackages = import ./packages.nix { inherit lib; };
  distance = import ./levenshtein.nix { inherit lib; };

  concatStrings = concatStringsSep "";

  lowerChars = stringToCharacters "abcdefghijklmnopqrstuvwxyz";
  upperChars = stringToCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

  stringToCharacters = s: genList (i: substring i 1 s) (stringLength s);

  # Paths compare by their text only once coerced, which copies them to the store: almost always a mistake.
  rejectPath =
    function: ordinal: consequence: x:
    if isPath x then
      throw ''
        lib.strings.${function}: The ${ordinal} argument (${toString x}) is a path value, but only strings are supported.
            There is almost certainly a bug in the calling code, since this function ${consequence}.
            This function also copies the path to the Nix store, which may not be what you want.''
    else
      x;

  hasPrefix =
    prefix: s:
    if isPath prefix then
      rejectPath "hasPrefix" "first" "always returns `false` in such a case" prefix
    else
      substring 0 (stringLength prefix) s == prefix;

  hasSuffix =
    suffix: s:
    if isPath suffix then
      rejectPath "hasSuffix" "first" "always returns `false` in such a case" suffix
    else
      let
        extra = stringLength s - stringLength suffix;
      in
      extra >= 0 && substring extra (-1) s == suffix;

  removePrefix =
    prefix: s:
    if isPath prefix then
      rejectPath "removePrefix" "first" "never removes any prefix in such a case" prefix
    else
      let
        len = stringLength prefix;
      in
      if substring 0 len s == prefix then substring len (-1) s else s;

  removeSuffix =
    suffix: s:
    if isPath suffix then
      rejectPath "removeSuffix" "first" "never removes any suffix in such a case" suffix
    else
      let
        kept = stringLength s - stringLength suffix;
      in
      if kept >= 0 && substring kept (-1) s == suffix then substring 0 kept s else s;

  # The parts keep the whole string's context, as any part may hold what carried it.
  splitString =
    separator: s:
    let
      parts = filter isString (split (escapes.escapeRegex (toString separator)) (toString s));
    in
    map (part: addContextFrom s part) parts;

  addContextFrom = source: target: substring 0 0 source + target;

  replicate = n: s: concatStrings (genList (_: s) n);

  toUpper = replaceStrings lowerChars upperChars;
  toLower = replaceStrings upperChars lowerChars;

  fixedWidthString =
    width: filler: s:
    let
      len = stringLength s;
      missing = width - len;
      fillerLen = stringLength filler;
    in
    if missing < 0 then
      throw "fixedWidthString: requested string length (${toString width}) must not be shorter than actual length (${toString len})"
    else if fillerLen == 1 || missing == 0 then
      replicate missing filler + s
    else
      # Whole fillers only: one that does not fit exactly leads to the error above.
      (if missing < fillerLen then fixedWidthString width filler (filler + s) else filler + fixedWidthString (width - fillerLen) filler s);

  isStringLike = x: isString x || isPath x || x ? outPath || x ? __toString;

  commonPrefixLength =
    a: b:
    let
      shorter = if stringLength a < stringLength b then stringLength a else stringLength b;
      at = i: if i == shorter || substring i 1 a != substring i 1 b then i else at (i + 1);
    in
    at 0;

  commonSuffixLength =
    a: b:
    let
      lenA = stringLength a;
      lenB = stringLength b;
      shorter = if lenA < lenB then lenA else lenB;
      at = i: if i == shorter || substring (lenA - i - 1) 1 a != substring (lenB - i - 1) 1 b then i else at (i + 1);
    in
    at 0;

  # Optional blanks, a sign and digits. The number is what JSON makes of the digits.
  toInt =
    s:
    let
      matched = match "[[:space:]]*(-?[[:digit:]]+)[[:space:]]*" s;
      digits = head matched;
    in
    if matched == null then
      throw "toInt: Could not convert ${escapes.escapeNixString s} to int."
    else if match "0[[:digit:]]+" digits != null then
      throw "toInt: Ambiguity in interpretation of ${escapes.escapeNixString s} between octal and zero padded integer."
    else
      intFrom "toInt" s digits;

  toIntBase10 =
    s:
    let
      matched = match "[[:space:]]*0*(-?[[:digit:]]+)[[:space:]]*" s;
    in
    if matched == null then
      throw "toIntBase10: Could not convert ${escapes.escapeNixString s} to int."
    else if match "[[:space:]]*0+[[:space:]]*" s != null then
      0
    else
      intFrom "toIntBase10" s (head matched);

  intFrom =
    function: original: digits:
    let
      n = builtins.fromJSON digits;
    in
    if isInt n then n else throw "${function}: Could not convert ${escapes.escapeNixString original} to int.";

  trimWith =
    {
      start ? false,
      end ? false,
    }:
    s:
    let
      blank = " \t\r\n";
      inner = match "[${blank}]*(.*[^${blank}])[${blank}]*" s;
      left = match "[${blank}]*(.*)" s;
      right = match "(.*[^${blank}])[${blank}]*" s;
      first = m: if m == null then "" else head m;
    in
    if start && end then
      first inner
    else if start then
      first left
    else if end then
      first right
    else
      s;

  storeDirLength = stringLength builtins.storeDir;
in
escapes
// forPackages
// distance
// {
  inherit (builtins)
    compareVersions
    concatStringsSep
    elem
    elemAt
    filter
    fromJSON
    genList
    head
    isAttrs
    isInt
    isList
    isPath
    isString
    length
    match
    parseDrvName
    readFile
    replaceStrings
    split
    storeDir
    stringLength
    substring
    tail
    toJSON
    typeOf
    unsafeDiscardStringContext
    ;
  inherit (builtins) appendContext getContext hasContext concatMap;

  inherit
    addContextFrom
    commonPrefixLength
    commonSuffixLength
    concatStrings
    fixedWidthString
    hasPrefix
    hasSuffix
    isStringLike
    lowerChars
    removePrefix
    removeSuffix
    replicate
    splitString
    stringToCharacters
    toInt
    toIntBase10
    toLower
    toUpper
    trimWith
    upperChars
    ;

  # ## joining
  join = concatStringsSep;
  concatMapStrings = f: list: concatStringsSep "" (map f list);
  concatImapStrings = f: list: concatStringsSep "" (lib.lists.imap1 f list);
  concatMapStringsSep =
    sep: f: list:
    concatStringsSep sep (map f list);
  concatImapStringsSep =
    sep: f: list:
    concatStringsSep sep (lib.lists.imap1 f list);
  concatMapAttrsStringSep =
    sep: f: set:
    concatStringsSep sep (builtins.attrValues (builtins.mapAttrs f set));
  concatLines = list: concatStringsSep "" (map (line: "${line}\n") list);
  optionalString = cond: s: if cond then s else "";
  intersperse =
    sep: list:
    if length list < 2 then
      list
    else
      tail (
        concatMap (x: [
          sep
          x
        ]) list
      );
  fixedWidthNumber = width: n: fixedWidthString width "0" (toString n);

  # ## looking
  hasInfix =
    infix: s:
    if isPath infix then
      rejectPath "hasInfix" "first" "always returns `false` in such a case" infix
    else
      # What is replaced by something else must have been there.
      infix == "" || replaceStrings [ infix ] [ "" ] s != "${s}";
  charToInt = c: (import ./ascii.nix).${c};
  isConvertibleWithToString =
    let
      convertible =
        x:
        isStringLike x
        || elem (typeOf x) [ "null" "int" "float" "bool" ]
        || (isList x && builtins.all convertible x);
    in
    convertible;
  isStorePath =
    x:
    if !isStringLike x then
      false
    else
      let
        s = toString x;
        base = substring (storeDirLength + 1) (-1) (unsafeDiscardStringContext s);
      in
      substring 0 (storeDirLength + 1) s == "${builtins.storeDir}/" && match "[0-9a-df-np-sv-z]{32}-[^/]+" base != null;
  isValidPosixName = name: match "[a-zA-Z_][a-zA-Z0-9_]*" name != null;

  # ## cutting
  trim = trimWith {
    start = true;
    end = true;
  };
  stringAsChars = f: s: concatStrings (map f (stringToCharacters s));
  splitStringBy =
    startsPart: keepSeparator: s:
    let
      chars = stringToCharacters s;
      step =
        state: char:
        if startsPart state.previous char then
          {
            previous = char;
            parts = state.parts ++ [ state.current ];
            current = if keepSeparator then char else "";
          }
        else
          {
            previous = char;
            inherit (state) parts;
            current = state.current + char;
          };
      end = foldl' step {
        previous = "";
        parts = [ ];
        current = "";
      } chars;
    in
    map (addContextFrom s) (end.parts ++ [ end.current ]);
  fileContents = file: removeSuffix "\n" (builtins.readFile file);
  # Repeated slashes are one.
  normalizePath =
    s:
    if isPath s then
      rejectPath "normalizePath" "first" "only normalizes strings, and paths are normalized already" s
    else
      concatStringsSep "/" (
        let
          parts = filter isString (split "/+" s);
        in
        parts
      );

  # ## changing
  replaceString = from: to: replaceStrings [ from ] [ to ];
  toSentenceCase =
    s:
    if !isString s then
      throw "toSentenceCase does only accepts string values, but got ${typeOf s}"
    else if s == "" then
      ""
    else
      toUpper (substring 0 1 s) + toLower (substring 1 (-1) s);
  toCamelCase =
    s:
    if !isString s then
      throw "toCamelCase does only accepts string values, but got ${typeOf s}"
    else
      let
        separators = [ "-" "_" " " ];
        words = filter (w: w != "") (filter isString (split "[-_ ]" s));
        capital = w: toUpper (substring 0 1 w) + substring 1 (-1) w;
        joined = concatStrings (map capital words);
      in
      if words == [ ] then "" else addContextFrom s (toLower (substring 0 1 joined) + substring 1 (-1) joined);

  # ## numbers
  floatToString =
    x:
    let
      text = toString x;
      json = builtins.toJSON x;
    in
    if text == json then text else warn "Imprecise conversion from float to string ${text}" text;
}
