# Strings that packages are made of: names and versions, search paths, flags of configure scripts.
{ lib }:
let
  inherit (builtins)
    compareVersions
    concatStringsSep
    elemAt
    filter
    head
    isString
    map
    match
    parseDrvName
    split
    stringLength
    substring
    throw
    toString
    typeOf
    unsafeDiscardStringContext
    ;

  makeSearchPath = dir: paths: concatStringsSep ":" (map (path: "${path}/${dir}") (filter (x: x != null) paths));
  makeSearchPathOutput =
    output: dir: pkgs:
    makeSearchPath dir (map (lib.attrsets.getOutput output) pkgs);

  expect =
    what: name: check: x:
    if check x then x else throw "${what}: ${name} expected, got ${typeOf x}";

  cmakeFeature =
    name: value:
    assert isString name;
    assert isString value;
    cmakeOptionType "STRING" name value;
  cmakeOptionType =
    let
      kinds = [ "BOOL" "FILEPATH" "PATH" "STRING" "INTERNAL" "LIST" ];
    in
    kind: name: value:
    assert builtins.elem (lib.strings.toUpper kind) kinds;
    assert isString name;
    assert isString value;
    "-D${name}:${lib.strings.toUpper kind}=${value}";
  mesonOption =
    name: value:
    assert isString name;
    assert isString value;
    "-D${name}=${value}";

  enableFeature =
    flag: name:
    assert builtins.isBool flag;
    assert isString name;
    "--${if flag then "enable" else "disable"}-${name}";
  withFeature =
    flag: name:
    assert isString name;
    "--${if flag then "with" else "without"}-${name}";

  # Only these may stand in a store path's name.
  nameLimit = 207;
in
{
  inherit
    makeSearchPath
    makeSearchPathOutput
    cmakeFeature
    cmakeOptionType
    mesonOption
    enableFeature
    withFeature
    ;

  # ## search paths
  makeBinPath = makeSearchPathOutput "bin" "bin";
  makeLibraryPath = pkgs: makeSearchPath "lib" (map lib.attrsets.getLib pkgs);
  makeIncludePath = makeSearchPathOutput "dev" "include";

  # ## names and versions
  versionOlder = v1: v2: compareVersions v2 v1 == 1;
  versionAtLeast = v1: v2: compareVersions v2 v1 != 1;
  getName = x: if isString x then (parseDrvName x).name else x.pname or (parseDrvName x.name).name;
  getVersion = x: if isString x then (parseDrvName x).version else x.version or (parseDrvName x.name).version;
  nameFromURL =
    url: sep:
    let
      file = lib.lists.last (lib.strings.splitString "/" url);
      name = head (lib.strings.splitString sep file);
    in
    if name == file then throw "nameFromURL: '${url}' does not contain the separator '${sep}' in its last part" else name;
  sanitizeDerivationName =
    let
      isOk = match "[[:alnum:]+_?=-][[:alnum:]+._?=-]*";
    in
    s:
    let
      text = unsafeDiscardStringContext (toString s);
      # A leading dot would hide the path.
      visible = elemAt (match "\\.*(.*)" text) 0;
      parts = split "[^[:alnum:]+._?=-]+" visible;
      clean = lib.strings.concatMapStrings (part: if builtins.isList part then "-" else part) parts;
      len = stringLength clean;
      cut = substring (if len > nameLimit then len - nameLimit else 0) (-1) clean;
    in
    if stringLength text <= nameLimit && isOk text != null then
      text
    else if cut == "" then
      "unknown"
    else
      cut;

  # ## flags
  cmakeBool = name: flag: assert builtins.isBool flag; cmakeOptionType "bool" name (if flag then "TRUE" else "FALSE");
  mesonBool = name: flag: assert builtins.isBool flag; mesonOption name (if flag then "true" else "false");
  mesonEnable = name: flag: assert builtins.isBool flag; mesonOption name (if flag then "enabled" else "disabled");
  enableFeatureAs =
    flag: name: value:
    enableFeature flag name + (if flag then "=${value}" else "");
  withFeatureAs =
    flag: name: value:
    withFeature flag name + (if flag then "=${value}" else "");
}
