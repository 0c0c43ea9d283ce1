# A value as YAML: block style, every text in JSON's quotes unless it is a plain word.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    isAttrs
    isList
    isString
    match
    toJSON
    ;

  # words that YAML 1.1 takes for something else than text
  reserved = [
    "y"
    "n"
    "yes"
    "no"
    "on"
    "off"
    "true"
    "false"
    "null"
  ];
  isPlain =
    text:
    match "[a-zA-Z_/][a-zA-Z0-9_/.-]*" text != null && !lib.elem (lib.toLower text) reserved;
  scalar = value: if isString value && isPlain value then value else toJSON value;

  isMap = value: isAttrs value && !(value ? outPath) && !(value ? __toString);
  isBlock = value: (isMap value && value != { }) || (isList value && value != [ ]);

  # lines of a block, each without indentation of its own
  lines =
    value:
    if isMap value then
      lib.concatMap (
        name:
        let
          v = value.${name};
        in
        if isBlock v then
          [ "${scalar name}:" ] ++ map (l: "  " + l) (lines v)
        else
          [ "${scalar name}: ${atom v}" ]
      ) (attrNames value)
    else
      lib.concatMap (
        v:
        if isBlock v then
          let
            inner = lines v;
          in
          [ "- ${lib.head inner}" ] ++ map (l: "  " + l) (lib.tail inner)
        else
          [ "- ${atom v}" ]
      ) value;

  atom =
    value:
    if isMap value then
      "{}"
    else if isList value then
      "[]"
    else
      scalar value;
in
value: if isBlock value then concatStringsSep "\n" (lines value) + "\n" else atom value + "\n"
