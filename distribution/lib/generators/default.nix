# Text formats from Nix values. Every generator takes a set of settings first and the value second.
{ lib }:
let
  inherit (builtins)
    addErrorContext
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    functionArgs
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isPath
    isString
    head
    length
    map
    mapAttrs
    replaceStrings
    split
    tail
    throw
    toJSON
    toString
    typeOf
    ;
  inherit (lib.attrsets) isDerivation mapAttrsToList;
  inherit (lib.strings) escape escapeNixString floatToString;

  toPretty = import ./pretty.nix { inherit lib; };

  unsupported =
    what: v:
    abort "generators.mkValueStringDefault: ${what} not supported: ${toPretty { } v}";

  mkValueStringDefault =
    { }:
    v:
    if isString v then
      v
    else if isInt v then
      toString v
    else if isBool v then
      (if v then "true" else "false")
    else if v == null then
      "null"
    else if isDerivation v then
      toString v
    else if isList v then
      unsupported "lists" v
    else if isAttrs v then
      if v ? __toString then toString v else unsupported "attrsets" v
    else if isFunction v then
      unsupported "functions" v
    else if isFloat v then
      floatToString v
    else
      unsupported "this value is" (toString v);

  mkKeyValueDefault =
    {
      mkValueString ? mkValueStringDefault { },
    }:
    sep: key: value:
    "${escape [ sep ] key}${sep}${mkValueString value}";

  toKeyValue =
    {
      mkKeyValue ? mkKeyValueDefault { } "=",
      listsAsDuplicateKeys ? false,
      indent ? "",
    }:
    let
      line = key: value: "${indent}${mkKeyValue key value}\n";
      lines = key: value: if listsAsDuplicateKeys && isList value then map (line key) value else [ (line key value) ];
    in
    set: concatStringsSep "" (concatLists (mapAttrsToList lines set));

  toINI =
    {
      mkSectionName ? (name: escape [ "[" "]" ] name),
      mkKeyValue ? mkKeyValueDefault { } "=",
      listsAsDuplicateKeys ? false,
    }:
    let
      body = toKeyValue { inherit mkKeyValue listsAsDuplicateKeys; };
    in
    sections: concatStringsSep "\n" (mapAttrsToList (name: values: "[${mkSectionName name}]\n${body values}") sections);

  # Cuts recursion off at a depth; used to print values that may be endless.
  withRecursion =
    {
      depthLimit,
      throwOnDepthLimit ? true,
    }:
    assert isInt depthLimit;
    let
      # Names by which the module system and package sets refer to themselves: forcing them leads nowhere new.
      special = [
        "__functor"
        "__functionArgs"
        "__toString"
        "__pretty"
      ];
      cut =
        depth: v:
        if depth > depthLimit then
          if throwOnDepthLimit then
            throw "Exceeded maximum eval-depth limit of ${toString depthLimit} while trying to evaluate with `generators.withRecursion'!"
          else
            "<unevaluated>"
        else if isAttrs v then
          mapAttrs (name: x: if elem name special then x else cut (depth + 1) x) v
        else if isList v then
          map (cut (depth + 1)) v
        else
          v;
    in
    cut 0;
in
{
  inherit
    mkKeyValueDefault
    mkValueStringDefault
    toINI
    toKeyValue
    toPretty
    withRecursion
    ;

  toINIWithGlobalSection =
    {
      mkSectionName ? (name: escape [ "[" "]" ] name),
      mkKeyValue ? mkKeyValueDefault { } "=",
      listsAsDuplicateKeys ? false,
    }@settings:
    {
      globalSection,
      sections ? { },
    }:
    (
      if globalSection == { } then
        ""
      else
        toKeyValue { inherit mkKeyValue listsAsDuplicateKeys; } globalSection + "\n"
    )
    + toINI settings sections;

  # Git's dialect: sections with a quoted subsection, keys indented by a tab.
  toGitINI =
    set:
    let
      section =
        path:
        let
          last = lib.lists.last path;
          parents = lib.lists.init path;
        in
        if parents == [ ] then last else "${head parents} \"${concatStringsSep "." (tail parents ++ [ last ])}\"";
      quote =
        v:
        if isString v then "\"${replaceStrings [ "\n" "\t" "\\" "\"" ] [ "\\n" "\\t" "\\\\" "\\\"" ] v}\"" else mkValueStringDefault { } v;
      keyValue = key: v: "\t${mkKeyValueDefault { mkValueString = quote; } " = " key v}";
      line = key: v: if isList v then concatStringsSep "\n" (map (keyValue key) v) else keyValue key v;

      # Leaves grouped by the path of their section, in the order that the sections' names sort in.
      leaves =
        path: v:
        if isAttrs v && !isDerivation v then
          concatLists (attrValues (mapAttrs (name: x: leaves (path ++ [ name ]) x) v))
        else if path == [ ] || tail path == [ ] then
          # A key outside of any section has nowhere to go.
          [ { section = ""; key = head path; value = v; } ]
        else
          [ { section = section (lib.lists.init path); key = lib.lists.last path; value = v; } ];
      grouped = builtins.groupBy (leaf: leaf.section) (leaves [ ] set);
    in
    concatStringsSep "\n" (
      mapAttrsToList (
        name: group:
        "[${name}]\n${concatStringsSep "" (map (leaf: "${line leaf.key leaf.value}\n") group)}"
      ) grouped
    );

  # JSON is YAML.
  toJSON = { }: toJSON;
  toYAML = { }: toJSON;

  toLua = import ./lua.nix { inherit lib; };
  mkLuaInline = expr: {
    _type = "lua-inline";
    inherit expr;
  };

  toPlist = import ./plist.nix { inherit lib; };

  toDhall =
    { }@settings:
    let
      go =
        v:
        if isAttrs v then
          "{ ${concatStringsSep ", " (mapAttrsToList (name: x: "${name} = ${go x}") v)} }"
        else if isList v then
          "[ ${concatStringsSep ", " (map go v)} ]"
        else if isInt v then
          (if v < 0 then "" else "+") + toString v
        else if isBool v then
          (if v then "True" else "False")
        else if isFunction v then
          abort "generators.toDhall: cannot convert a function to Dhall"
        else if v == null then
          abort "generators.toDhall: cannot convert a null to Dhall"
        else
          toJSON v;
    in
    go;

  mkDconfKeyValue = mkKeyValueDefault { mkValueString = v: toString (lib.gvariant.mkValue v); } "=";
  toDconfINI = toINI { mkKeyValue = mkKeyValueDefault { mkValueString = v: toString (lib.gvariant.mkValue v); } "="; };
}
