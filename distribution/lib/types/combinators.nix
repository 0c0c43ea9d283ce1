# Types made of other types.
{
  lib,
  base,
  types,
}:
let
  inherit (builtins)
    all
    concatStringsSep
    elem
    filter
    foldl'
    head
    isFunction
    isInt
    isList
    isString
    length
    map
    tail
    throw
    toString
    typeOf
    ;
  inherit (base) mkOptionType optionDescriptionPhrase;
  inherit (lib.options) showDefs showFiles showOption;
  inherit (lib.modules) mergeDefinitions;
  getFiles = map (def: def.file);

  nullOr =
    elemType:
    mkOptionType rec {
      name = "nullOr";
      description = "null or ${
        optionDescriptionPhrase (class: class == "noun" || class == "conjunction") elemType
      }";
      descriptionClass = "conjunction";
      check = x: x == null || elemType.check x;
      merge =
        loc: defs:
        let
          nulls = filter (def: def.value == null) defs;
        in
        if nulls == [ ] then
          (if elemType.merge ? v2 then (mergeDefinitions loc elemType defs).mergedValue else elemType.merge loc defs)
        else if length nulls == length defs then
          null
        else
          throw "The option `${showOption loc}` is defined both null and not null, in ${showFiles (getFiles defs)}.";
      emptyValue.value = null;
      inherit (elemType) getSubOptions getSubModules;
      substSubModules = m: nullOr (elemType.substSubModules m);
      functor = base.elemTypeFunctor name { inherit elemType; } (payload: nullOr payload.elemType);
      nestedTypes = { inherit elemType; };
    };

  enum =
    values:
    let
      # Numbers and the like as Nix writes them.
      show =
        v:
        if isString v then
          ''"${v}"''
        else if isInt v then
          toString v
        else if builtins.isBool v then
          lib.trivial.boolToString v
        else
          "<${typeOf v}>";
    in
    mkOptionType rec {
      name = "enum";
      description =
        if values == [ ] then
          "impossible (empty enum)"
        else if tail values == [ ] then
          "value ${show (head values)} (singular enum)"
        else
          "one of ${concatStringsSep ", " (map show values)}";
      descriptionClass = if length values < 2 then "noun" else "conjunction";
      check = x: elem x values;
      merge = lib.options.mergeEqualOption;
      functor = base.defaultFunctor name // {
        type = payload: enum payload.values;
        payload = { inherit values; };
        binOp = a: b: { values = lib.lists.unique (a.values ++ b.values); };
      };
    };

  either =
    left: right:
    mkOptionType rec {
      name = "either";
      description =
        if left.descriptionClass or null == "nonRestrictiveClause" then
          # The comma ends the clause before the alternative.
          "${left.description}, or ${
            optionDescriptionPhrase (class: class == "noun" || class == "conjunction") right
          }"
        else
          "${optionDescriptionPhrase (class: class == "noun" || class == "conjunction") left} or ${
            optionDescriptionPhrase (
              class: class == "noun" || class == "conjunction" || class == "composite"
            ) right
          }";
      descriptionClass = "conjunction";
      check = x: left.check x || right.check x;
      merge =
        loc: defs:
        if all (def: left.check def.value) defs then
          mergeAs left loc defs
        else if all (def: right.check def.value) defs then
          mergeAs right loc defs
        else
          lib.options.mergeOneOption loc defs;
      functor = base.defaultFunctor name // {
        type = payload: either (head payload.elemType) (head (tail payload.elemType));
        payload.elemType = [
          left
          right
        ];
        binOp =
          a: b:
          let
            l = (head a.elemType).typeMerge (head b.elemType).functor;
            r = (head (tail a.elemType)).typeMerge (head (tail b.elemType)).functor;
          in
          if l == null || r == null then
            null
          else
            {
              elemType = [
                l
                r
              ];
            };
      };
      nestedTypes = { inherit left right; };
      explainMismatch =
        loc:
        "The option `${showOption loc}` is neither a value of type `${left.description}` nor `${right.description}`, ";
    };

  mergeAs =
    type: loc: defs:
    if type.merge ? v2 then (mergeDefinitions loc type defs).mergedValue else type.merge loc defs;

  unique =
    { message }:
    type:
    mkOptionType rec {
      name = "unique";
      inherit (type) description descriptionClass check;
      merge = lib.options.mergeUniqueOption {
        inherit message;
        merge = mergeAs type;
      };
      inherit (type)
        emptyValue
        getSubOptions
        getSubModules
        ;
      substSubModules = m: unique { inherit message; } (type.substSubModules m);
      functor = base.elemTypeFunctor name { elemType = type; } (
        payload: unique { inherit message; } payload.elemType
      );
      nestedTypes.elemType = type;
    };
  # (the message is that of the first declaration)

  coercedTo =
    coercedType: coerceFunc: finalType:
    if coercedType.getSubModules or null != null then
      throw "coercedTo: coercedType must not have submodules (it’s a ${coercedType.description})"
    else
      mkOptionType rec {
        name = "coercedTo";
        description = "${optionDescriptionPhrase (class: class == "noun") finalType} or ${
          optionDescriptionPhrase (class: class == "noun") coercedType
        } convertible to it";
        check = x: (coercedType.check x && finalType.check (coerceFunc x)) || finalType.check x;
        merge =
          loc: defs:
          mergeAs finalType loc (
            map (
              def:
              if coercedType.check def.value then
                def // { value = coerceFunc (mergeAs coercedType loc [ def ]); }
              else
                def
            ) defs
          );
        inherit (finalType) emptyValue getSubOptions getSubModules;
        substSubModules = m: coercedTo coercedType coerceFunc (finalType.substSubModules m);
        typeMerge = _: null;
        functor = base.defaultFunctor name;
        nestedTypes = { inherit coercedType finalType; };
        explainMismatch = _: "";
      };

  functionTo =
    elemType:
    mkOptionType {
      name = "functionTo";
      description = "function that evaluates to a(n) ${
        optionDescriptionPhrase (class: class == "noun" || class == "composite") elemType
      }";
      descriptionClass = "composite";
      check = lib.trivial.isFunction;
      merge =
        loc: defs:
        let
          result =
            arg:
            (mergeDefinitions (loc ++ [ "<function body>" ]) elemType (
              map (
                def:
                def
                // {
                  value = def.value arg;
                }
              ) defs
            )).mergedValue;
          # An argument is needed if any of the functions needs it.
          formals = builtins.zipAttrsWith (_: all (optional: optional)) (
            map (def: lib.trivial.functionArgs def.value) defs
          );
        in
        lib.trivial.setFunctionArgs result formals;
      getSubOptions = prefix: elemType.getSubOptions (prefix ++ [ "<function body>" ]);
      inherit (elemType) getSubModules;
      substSubModules = m: functionTo (elemType.substSubModules m);
      functor = base.elemTypeFunctor "functionTo" { inherit elemType; } (
        payload: functionTo payload.elemType
      );
      nestedTypes = { inherit elemType; };
    };

  addCheck =
    type: extra:
    type
    // {
      check = x: type.check x && extra x;
      ${if type ? explainMismatch then "explainMismatch" else null} = _: "";
    };
  # What formats such as JSON can write.
  serializableValueWith =
    {
      typeName,
      nullable ? true,
    }:
    let
      scalar = types.oneOf [
        types.bool
        types.int
        types.float
        types.str
        types.path
        (types.attrsOf value)
        (types.listOf value)
      ];
      value = (if nullable then nullOr scalar else scalar) // {
        description = "${typeName} value";
      };
    in
    value;
in
{
  inherit
    serializableValueWith
    nullOr
    enum
    either
    unique
    coercedTo
    functionTo
    addCheck
    ;

  json = serializableValueWith { typeName = "JSON"; };
  toml = serializableValueWith {
    typeName = "TOML";
    nullable = false;
  };

  uniq = unique { message = ""; };

  oneOf =
    list:
    if list == [ ] then
      throw "List of types must not be empty. in the call `types.oneOf [ ]`"
    else
      foldl' either (head list) (tail list);
}
