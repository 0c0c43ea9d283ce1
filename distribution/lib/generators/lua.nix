# Lua tables and bindings.
{ lib }:
let
  inherit (builtins)
    attrValues
    concatStringsSep
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isPath
    isString
    map
    mapAttrs
    match
    throw
    toJSON
    toString
    typeOf
    ;
  toLua =
    {
      multiline ? true,
      indent ? "",
      # Top-level attributes as assignments instead of a table.
      asBindings ? false,
    }@settings:
    v:
    let
      innerIndent = "${indent}  ";
      inner = settings // { indent = if asBindings then indent else innerIndent; asBindings = false; };
      # Between entries.
      sep = if multiline then "\n${innerIndent}" else " ";
      entries = list: "{${sep}${concatStringsSep ",${sep}" list}${if multiline then "\n${indent}" else " "}}";
      isInline = v._type or null == "lua-inline";
      binding = name: value: "${indent}${name} = ${toLua inner value}";
      badName = name: match "[a-zA-Z_][a-zA-Z0-9_]*(\\.[a-zA-Z_][a-zA-Z0-9_]*)*" name == null;
      badNames = builtins.filter badName (builtins.attrNames v);
    in
    if asBindings then
      if badNames != [ ] then
        throw "generators.toLua: ${toJSON (builtins.head badNames)} is not a valid Lua identifier and cannot be bound to"
      else
        concatStringsSep "" (map (line: "${line}\n") (attrValues (mapAttrs binding v)))
    else if v == null then
      "nil"
    else if isInt v || isFloat v || isString v || isBool v then
      toJSON v
    else if isPath v || lib.attrsets.isDerivation v then
      toJSON "${v}"
    else if isList v then
      if v == [ ] then "{}" else entries (map (toLua inner) v)
    else if isAttrs v then
      if isInline then
        "(${v.expr})"
      else if v == { } then
        "{}"
      else
        entries (attrValues (mapAttrs (name: value: "[${toJSON name}] = ${toLua inner value}") v))
    else
      abort "generators.toLua: type ${typeOf v} is unsupported";
in
toLua
