# Small functions on functions, numbers and booleans; warnings; this library's version.
{ lib }:
let
  inherit (builtins)
    bitAnd
    bitOr
    elemAt
    fromJSON
    fromTOML
    getEnv
    isFunction
    isInt
    lessThan
    map
    pathExists
    readFile
    stringLength
    substring
    trace
    foldl'
    toString
    ;

  # The release of nixpkgs whose names and meanings this library follows.
  release = "26.11";
  suffixFile = ../.version-suffix;
  versionSuffix = if pathExists suffixFile then lib.strings.fileContents suffixFile else "pre-git";

  isCallable = f: isFunction f || (f ? __functor && isCallable (f.__functor f));

  formalsOf = f: if f ? __functor then f.__functionArgs or (formalsOf (f.__functor f)) else builtins.functionArgs f;

  withFormals = f: formals: {
    __functor = _self: f;
    __functionArgs = formals;
  };

  # C++ Nix since 2.23 has it as a builtin that also obeys `abort-on-warn`.
  warn =
    builtins.warn or (
      message: value:
      if
        builtins.elem (getEnv "NIX_ABORT_ON_WARN") [
          "1"
          "true"
          "yes"
        ]
      then
        trace "evaluation warning: ${message}" (abort "NIX_ABORT_ON_WARN=true; warnings are treated as unrecoverable errors.")
      else
        trace "evaluation warning: ${message}" value
    );

  hexDigits = [ "0" "1" "2" "3" "4" "5" "6" "7" "8" "9" "A" "B" "C" "D" "E" "F" ];

  # Digits of `n`, the most significant first.
  digitsIn =
    base: n:
    let
      go =
        n: acc:
        if n < base then
          [ n ] ++ acc
        else
          go (n / base) ([ (n - base * (n / base)) ] ++ acc);
    in
    go n [ ];
in
{
  # ## functions
  id = x: x;
  const = x: _: x;
  pipe = foldl' (value: f: f value);
  flip =
    f: a: b:
    f b a;

  isFunction = isCallable;
  functionArgs = formalsOf;
  setFunctionArgs = withFormals;
  toFunction = v: if isCallable v then v else _: v;

  # Gives `g` the formals of `f`, so that whoever calls it by its formals knows what to pass.
  mirrorFunctionArgs =
    f:
    let
      formals = formalsOf f;
    in
    g: withFormals g formals;

  # ## numbers and booleans
  or = x: y: x || y;
  and = x: y: x && y;
  xor = x: y: x != y;
  bitNot = builtins.sub (-1);
  mod = base: int: base - (int * (builtins.div base int));
  min = x: y: if x < y then x else y;
  max = x: y: if x > y then x else y;
  compare =
    a: b:
    if a < b then
      -1
    else if a > b then
      1
    else
      0;
  splitByAndCompare =
    matches: yes: no: a: b:
    if matches a then
      if matches b then yes a b else -1
    else if matches b then
      1
    else
      no a b;

  boolToString = b: if b then "true" else "false";
  boolToYesNo = b: if b then "yes" else "no";

  toBaseDigits =
    base: n:
    assert isInt base;
    assert isInt n;
    assert base >= 2;
    assert n >= 0;
    digitsIn base n;
  toHexString = n: builtins.concatStringsSep "" (map (elemAt hexDigits) (digitsIn 16 n));
  fromHexString =
    text:
    let
      matched = builtins.match "(0x)?([0-7]?[0-9A-Fa-f]{1,15})" text;
    in
    if matched != null then
      (fromTOML "n = 0x${elemAt matched 1}").n
    else
      # What the TOML reader would say about it, without its text.
      throw "lib.fromHexString: '${text}' is not a hexadecimal number that fits in 63 bits";

  # ## sets and lists, where it is a matter of one operator
  concat = x: y: x ++ y;
  mergeAttrs = x: y: x // y;
  defaultTo = default: v: if v == null then default else v;
  mapNullable = f: v: if v == null then v else f v;

  # ## files
  importJSON = path: fromJSON (readFile path);
  importTOML = path: fromTOML (readFile path);

  # ## messages
  inherit warn;
  warnIf = cond: message: if cond then warn message else x: x;
  warnIfNot = cond: message: if cond then x: x else warn message;
  throwIf = cond: message: if cond then throw message else x: x;
  throwIfNot = cond: message: if cond then x: x else throw message;
  info = message: trace "INFO: ${message}";
  showWarnings = warnings: value: foldl' (acc: message: warn message acc) value warnings;
  checkListOfEnum =
    message: valid: given: value:
    let
      unexpected = builtins.filter (v: !builtins.elem v valid) given;
    in
    if unexpected == [ ] then
      value
    else
      throw "${message}: ${builtins.concatStringsSep ", " (map toString unexpected)} unexpected; valid ones: ${builtins.concatStringsSep ", " (map toString valid)}";

  # ## where we are evaluated
  inNixShell = getEnv "IN_NIX_SHELL" != "";
  inPureEvalMode = !builtins ? currentSystem;

  # ## version
  inherit release versionSuffix;
  version = release + versionSuffix;
  nixpkgsVersion = warn "lib.nixpkgsVersion is a deprecated alias of lib.version." (release + versionSuffix);
  codeName = "Zokor";
  oldestSupportedRelease = 2605;
  oldestSupportedReleaseIsAtLeast = r: r <= 2605;
  isInOldestRelease = warn "lib.isInOldestRelease is deprecated. Use lib.oldestSupportedReleaseIsAtLeast instead." (r: r <= 2605);
  revisionWithDefault = default: default;

  # ## builtins that belong here
  inherit (builtins)
    add
    bitAnd
    bitOr
    bitXor
    ceil
    deepSeq
    div
    floor
    genericClosure
    isBool
    isFloat
    isInt
    lessThan
    mul
    pathExists
    readFile
    seq
    sub
    ;
}
