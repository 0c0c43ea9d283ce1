# Taking version strings apart.
{ lib }:
let
  inherit (builtins)
    concatStringsSep
    elemAt
    filter
    genList
    head
    isString
    length
    split
    ;

  splitVersion = builtins.splitVersion;
in
{
  inherit splitVersion;
  inherit (builtins) compareVersions;

  major = v: elemAt (splitVersion v) 0;
  minor = v: elemAt (splitVersion v) 1;
  patch = v: elemAt (splitVersion v) 2;
  majorMinor =
    v:
    let
      parts = splitVersion v;
    in
    if length parts < 2 then concatStringsSep "." parts else "${elemAt parts 0}.${elemAt parts 1}";

  # Exactly `n` numeric components, filled up with zeros; a suffix after the first dash stays.
  pad =
    n: version:
    let
      numeric = head (lib.strings.splitString "-" version);
      parts = lib.lists.filter (x: x != "") (filter isString (split "\\." numeric));
      suffix = builtins.substring (builtins.stringLength numeric) (-1) version;
    in
    concatStringsSep "." (genList (i: if i < length parts then elemAt parts i else "0") n) + suffix;
}
