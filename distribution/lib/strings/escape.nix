# Quoting strings for other languages: shells, Nix, C, regular expressions, XML, URLs.
{ lib }:
let
  inherit (builtins)
    attrNames
    attrValues
    concatStringsSep
    elem
    isAttrs
    isList
    isString
    map
    mapAttrs
    match
    replaceStrings
    stringLength
    substring
    throw
    toJSON
    toString
    ;

  ascii = import ./ascii.nix;
  chars = s: builtins.genList (i: substring i 1 s) (stringLength s);

  escape = list: replaceStrings list (map (c: "\\${c}") list);

  # Quoted only where the shell would see more than a plain word, so that generated scripts stay readable.
  escapeShellArg =
    arg:
    let
      s = toString arg;
    in
    if match "[[:alnum:],._+:@%/-]+" s == null then "'${replaceStrings [ "'" ] [ "'\\''" ] s}'" else s;

  escapeShellArgs = args: concatStringsSep " " (map escapeShellArg args);

  escapeNixString = s: escape [ "$" ] (toJSON s);

  # A word that the grammar takes for something else must be quoted as an attribute name.
  keywords = [
    "assert"
    "else"
    "if"
    "in"
    "inherit"
    "let"
    "or"
    "rec"
    "then"
    "with"
  ];
  reserved = builtins.listToAttrs (map (name: { inherit name; value = null; }) keywords);

  toShellVar =
    name: value:
    if match "[a-zA-Z_][a-zA-Z0-9_]*" name == null then
      throw "toShellVar: ${name} is not a valid shell variable name"
    else if isAttrs value && !lib.strings.isStringLike value then
      "declare -A ${name}=(${
        concatStringsSep " " (attrValues (mapAttrs (key: v: "[${escapeShellArg key}]=${escapeShellArg v}") value))
      })"
    else if isList value then
      "declare -a ${name}=(${escapeShellArgs value})"
    else
      "${name}=${escapeShellArg value}";

  unreserved = chars "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
  percentEncoded = removeAttrs (mapAttrs (
    _: code: "%${lib.strings.fixedWidthString 2 "0" (lib.trivial.toHexString code)}"
  ) ascii) unreserved;
in
{
  inherit
    escape
    escapeNixString
    escapeShellArg
    escapeShellArgs
    toShellVar
    ;

  escapeC =
    list:
    replaceStrings list (map (c: "\\x${lib.strings.toLower (lib.strings.fixedWidthString 2 "0" (lib.trivial.toHexString ascii.${c}))}") list);

  escapeURL =
    let
      from = attrNames percentEncoded;
      to = attrValues percentEncoded;
    in
    s: replaceStrings from to s;

  escapeRegex = escape (chars "\\[{()^$?*+|.");

  escapeXML =
    replaceStrings
      [ "\"" "'" "<" ">" "&" ]
      [ "&quot;" "&apos;" "&lt;" "&gt;" "&amp;" ];

  escapeNixIdentifier =
    s:
    if match "[a-zA-Z_][a-zA-Z0-9_'-]*" s != null && !reserved ? ${s} then s else escapeNixString s;

  toShellVars = vars: concatStringsSep "\n" (attrValues (mapAttrs toShellVar vars));
}
