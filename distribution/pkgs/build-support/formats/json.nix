# A value as JSON with indentation, so that the file can be read and compared by people.
{ lib }:
let
  inherit (builtins) attrNames concatStringsSep isAttrs isList toJSON;

  render =
    indent: value:
    let
      deeper = indent + "  ";
    in
    if isAttrs value && !(value ? outPath) && !(value ? __toString) then
      if value == { } then
        "{}"
      else
        "{\n"
        + concatStringsSep ",\n" (
          map (name: "${deeper}${toJSON name}: ${render deeper value.${name}}") (attrNames value)
        )
        + "\n${indent}}"
    else if isList value then
      if value == [ ] then
        "[]"
      else
        "[\n" + concatStringsSep ",\n" (map (v: deeper + render deeper v) value) + "\n${indent}]"
    else
      toJSON value;
in
value: render "" value + "\n"
