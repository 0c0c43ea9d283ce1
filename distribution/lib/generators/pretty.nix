# Values as a person wants to read them; what error messages show.
{ lib }:
let
  inherit (builtins)
    attrValues
    concatStringsSep
    filter
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isPath
    isString
    length
    map
    mapAttrs
    match
    replaceStrings
    split
    throw
    toJSON
    toString
    ;
  inherit (lib.strings) escapeNixIdentifier escapeNixString floatToString;
in
{
  # Whether values of the form `{ __pretty, val }` print themselves.
  allowPrettyValues ? false,
  multiline ? true,
  # What stands before every line but the first.
  indent ? "",
}:
let
  show =
    indent: v:
    let
      space = if multiline then "\n${indent}  " else " ";
      end = if multiline then "\n${indent}" else " ";
      deeper = show "${indent}  ";
    in
    if isInt v then
      toString v
    else if isString v then
      string indent v
    else if isBool v then
      (if v then "true" else "false")
    else if v == null then
      "null"
    else if isFloat v then
      toJSON v
    else if isPath v then
      toString v
    else if isList v then
      if v == [ ] then "[ ]" else "[${space}${concatStringsSep space (map deeper v)}${end}]"
    else if isFunction v || v ? __functor then
      function v
    else if isAttrs v then
      if allowPrettyValues && v ? __pretty && v ? val then
        v.__pretty v.val
      else if v == { } then
        "{ }"
      else if v.type or null == "derivation" then
        "<derivation ${v.name or "???"}>"
      else
        "{${space}${
          concatStringsSep space (
            attrValues (
              mapAttrs (
                name: value:
                "${escapeNixIdentifier name} = ${
                  builtins.addErrorContext "while evaluating an attribute `${name}`" (deeper value)
                };"
              ) v
            )
          )
        }${end}}"
    else
      abort "generators.toPretty: should never happen (v = ${toString v})";

  function =
    f:
    let
      formals = lib.trivial.functionArgs f;
      shown = concatStringsSep ", " (attrValues (mapAttrs (name: optional: if optional then "${name}?" else name) formals));
    in
    if formals == { } then "<function>" else "<function, args: {${shown}}>";

  # Lines of a text that has any, as an indented string.
  string =
    indent: s:
    let
      lines = filter isString (split "\n" s);
      escaped = map (replaceStrings [ "''" "\${" ] [ "'''" "''\${" ]) lines;
      space = "\n${indent}  ";
    in
    if multiline && length lines > 1 then
      let
        last = lib.lists.last escaped;
        body = lib.lists.init escaped;
      in
      "''${space}${concatStringsSep space body}${if last == "" then "\n${indent}" else space + last}''"
    else
      escapeNixString s;
in
show indent
