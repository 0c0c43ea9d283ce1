# Values of GLib's GVariant text format, which dconf reads.
{ lib }:
let
  inherit (builtins)
    concatStringsSep
    head
    isBool
    isFloat
    isInt
    isList
    isString
    isAttrs
    map
    match
    replaceStrings
    throw
    toJSON
    toString
    typeOf
    ;
  inherit (lib.strings) floatToString;

  # A value with its type, which prints itself with as much of the type as the reader needs.
  make = type: value: attrs: {
    _type = "gvariant";
    inherit type value;
    __toString = self: "@${self.type} ${toString self.value}";
  }
  // attrs;

  isGVariant = v: v._type or null == "gvariant";

  type = {
    arrayOf = t: "a${t}";
    maybeOf = t: "m${t}";
    tupleOf = ts: "(${concatStringsSep "" ts})";
    dictionaryEntryOf = nameType: valueType: "{${nameType}${valueType}}";
    string = "s";
    boolean = "b";
    uchar = "y";
    int16 = "n";
    uint16 = "q";
    int32 = "i";
    uint32 = "u";
    int64 = "x";
    uint64 = "t";
    double = "d";
    variant = "v";
  };

  escape = replaceStrings [ "\\" "'" "\n" ] [ "\\\\" "\\'" "\\n" ];

  mkString = v: make type.string v { __toString = self: "'${escape self.value}'"; };
  mkBoolean = v: make type.boolean v { __toString = self: if self.value then "true" else "false"; };
  mkDouble = v: make type.double v { __toString = self: toString self.value; };
  mkObjectpath = v: make type.string v { __toString = self: "objectpath '${escape self.value}'"; };
  number =
    type: v:
    make type v { __toString = self: "@${self.type} ${toString self.value}"; };

  intConstructors = [
    { conversion = "mkInt32"; type = type.int32; min = -2147483648; max = 2147483647; }
    { conversion = "mkUint32"; type = type.uint32; min = 0; max = 4294967295; }
    { conversion = "mkInt64"; type = type.int64; min = -9223372036854775807; max = 9223372036854775807; }
    { conversion = "mkUint64"; type = type.uint64; min = 0; max = 9223372036854775807; }
    { conversion = "mkInt16"; type = type.int16; min = -32768; max = 32767; }
    { conversion = "mkUint16"; type = type.uint16; min = 0; max = 65535; }
    { conversion = "mkUchar"; type = type.uchar; min = 0; max = 255; }
  ];

  mkArray =
    values:
    let
      elems = map mkValue values;
      elemType = (head elems).type;
    in
    if values == [ ] then
      throw "Please create empty array with mkEmptyArray."
    else if builtins.any (e: e.type != elemType) elems then
      throw "Elements in a list should have same type."
    else
      make (type.arrayOf elemType) elems {
        __toString = self: "@${self.type} [${concatStringsSep "," (map toString self.value)}]";
      };
  mkEmptyArray = elemType: make (type.arrayOf elemType) [ ] { __toString = self: "@${self.type} []"; };
  mkVariant =
    v:
    let
      value = mkValue v;
    in
    make type.variant value { __toString = self: "<${toString self.value}>"; };
  mkMaybe =
    elemType: elem:
    make (type.maybeOf elemType) elem {
      __toString = self: if self.value == null then "@${self.type} nothing" else "just ${toString self.value}";
    };
  mkTuple =
    values:
    let
      elems = map mkValue values;
    in
    make (type.tupleOf (map (e: e.type) elems)) elems {
      __toString = self: "@${self.type} (${concatStringsSep "," (map toString self.value)})";
    };
  mkDictionaryEntry =
    name: value:
    let
      n = mkValue name;
      v = mkValue value;
      t = type.dictionaryEntryOf n.type v.type;
    in
    make t { name = n; value = v; } {
      __toString = self: "@${self.type} {${toString self.value.name},${toString self.value.value}}";
    };

  mkValue =
    v:
    if isGVariant v then
      v
    else if isInt v then
      let
        fitting = builtins.filter (c: v >= c.min && v <= c.max) intConstructors;
      in
      throw ''
        The GVariant type for number “${toString v}” is unclear.
        Please wrap the value with one of the following, depending on the value type in GSettings schema:

        ${concatStringsSep "\n" (map (c: "- `lib.gvariant.${c.conversion}` for `${c.type}`") fitting)}
      ''
    else if isBool v then
      mkBoolean v
    else if isFloat v then
      mkDouble v
    else if isString v then
      mkString v
    else if isList v then
      mkArray v
    else if isAttrs v then
      throw ''
        Cannot construct GVariant value from an attribute set. If you want to construct a dictionary, you will need to create an array containing items constructed with mkDictionaryEntry.
      ''
    else
      throw "The GVariant type of “${typeOf v}” can't be inferred.";
in
{
  inherit
    intConstructors
    isGVariant
    mkArray
    mkBoolean
    mkDictionaryEntry
    mkDouble
    mkEmptyArray
    mkMaybe
    mkObjectpath
    mkString
    mkTuple
    mkValue
    mkVariant
    type
    ;
  mkNothing = elemType: mkMaybe elemType null;
  mkJust =
    elem:
    let
      v = mkValue elem;
    in
    mkMaybe v.type v;
  mkUchar = number type.uchar;
  mkInt16 = number type.int16;
  mkUint16 = number type.uint16;
  mkInt32 = v: make type.int32 v { __toString = self: toString self.value; };
  mkUint32 = number type.uint32;
  mkInt64 = number type.int64;
  mkUint64 = number type.uint64;
}
