# A value as TOML: plain keys first, then a table for each set, an array of tables for each list of sets.
{ lib }:
let
  inherit (builtins)
    all
    attrNames
    concatStringsSep
    filter
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isString
    match
    toJSON
    typeOf
    ;

  isSet = value: isAttrs value && !(value ? outPath) && !(value ? __toString);
  isTables = value: isList value && value != [ ] && all isSet value;

  key = name: if match "[A-Za-z0-9_-]+" name != null then name else toJSON name;
  path = concatStringsSep "." ;

  # TOML's basic strings are JSON's, but for DEL
  inline =
    where: value:
    if isBool value || isInt value then
      toJSON value
    else if isFloat value then
      let
        text = toJSON value;
      in
      # a float needs a point or an exponent
      if match "-?[0-9]+" text != null then "${text}.0" else text
    else if isString value || value ? outPath || value ? __toString || builtins.isPath value then
      toJSON "${value}"
    else if isList value then
      "[" + concatStringsSep ", " (map (inline where) value) + "]"
    else if isSet value then
      "{ " + concatStringsSep ", " (map (n: "${key n} = ${inline where value.${n}}") (attrNames value)) + " }"
    else
      throw "TOML cannot hold a ${typeOf value} (at ${path where})";

  table =
    where: set:
    let
      names = filter (n: set.${n} != null) (attrNames set);
      plain = filter (n: !isSet set.${n} && !isTables set.${n}) names;
      nested = filter (n: isSet set.${n} || isTables set.${n}) names;
    in
    map (n: "${key n} = ${inline (where ++ [ (key n) ]) set.${n}}") plain
    ++ lib.concatMap (
      n:
      let
        here = where ++ [ (key n) ];
      in
      if isSet set.${n} then
        [
          ""
          "[${path here}]"
        ]
        ++ table here set.${n}
      else
        lib.concatMap (
          element:
          [
            ""
            "[[${path here}]]"
          ]
          ++ table here element
        ) set.${n}
    ) nested;
in
value: lib.removePrefix "\n" (concatStringsSep "\n" (table [ ] value)) + "\n"
