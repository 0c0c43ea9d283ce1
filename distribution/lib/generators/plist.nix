# Apple property lists.
{ lib }:
let
  inherit (builtins)
    attrValues
    concatStringsSep
    filter
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isPath
    isString
    map
    mapAttrs
    toString
    ;
in
{
  # Whether text is escaped for XML. Off by default, as it was forgotten first and is relied on now.
  escape ? false,
}:
let
  text =
    if escape then
      lib.strings.escapeXML
    else
      lib.trivial.warn "Using `lib.generators.toPlist` without `escape = true` is deprecated" (s: s);
  element =
    indent: v:
    if v == null then
      ""
    else if isBool v then
      "${indent}<${if v then "true" else "false"}/>"
    else if isInt v then
      "${indent}<integer>${toString v}</integer>"
    else if isString v then
      "${indent}<string>${text v}</string>"
    else if isList v then
      array indent v
    else if isAttrs v then
      dict indent v
    else if isPath v then
      "${indent}<string>${text (toString v)}</string>"
    else if isFloat v then
      "${indent}<real>${toString v}</real>"
    else
      abort "generators.toPlist: failed to convert a ${builtins.typeOf v}";
  array =
    indent: v:
    "${indent}<array>\n${concatStringsSep "\n" (map (element "\t${indent}") v)}\n${indent}</array>";
  dict =
    indent: v:
    "${indent}<dict>\n${
      concatStringsSep "\n" (
        attrValues (
          mapAttrs (name: value: "\t${indent}<key>${text name}</key>\n${element "\t${indent}" value}") (
            lib.attrsets.filterAttrs (_: value: value != null) v
          )
        )
      )
    }\n${indent}</dict>";
in
v: ''
  <?xml version="1.0" encoding="UTF-8"?>
  <!DOCTYPE plist PUBLIC "-//Apple Computer//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
  <plist version="1.0">
  ${element "" v}
  </plist>''
