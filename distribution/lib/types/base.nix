# What a type is made of.
#
#   name, description, descriptionClass   for messages; the class says how to embed the description in another
#   check v                               whether `v` is of the type, decided without looking deeper than the type must
#   merge loc defs                        the value of checked definitions `[ { file, value } … ]`
#   emptyValue                            `{ value }` where no definition at all also makes a value
#   getSubOptions, getSubModules, substSubModules   options below the value
#   functor, typeMerge                    how the type becomes one with another declaration's
#   nestedTypes                           for documentation
{ lib }:
let
  inherit (builtins) isFunction;
  isType = type: x: x._type or null == type;
  setType = type: value: value // { _type = type; };
  isOptionType = isType "option-type";

  # Two types merge if they are of the same kind and their payloads do.
  defaultTypeMerge =
    f: f':
    if f.name != f'.name then
      null
    else if f ? wrapped && (f.wrapped != null || f'.wrapped or null != null) && !(f ? payload && f.payload != null) then
      # The older form: one nested type, which the payload replaced.
      let
        wrapped = if f'.wrapped or null == null then null else f.wrapped.typeMerge f'.wrapped.functor;
      in
      if wrapped == null then null else f.type wrapped
    else if (f.payload or null) == null && (f'.payload or null) == null then
      f.type
    else if (f.payload or null) == null || (f'.payload or null) == null then
      null
    else
      let
        payload = f.binOp f.payload f'.payload;
      in
      if payload == null then null else f.type payload;

  defaultFunctor = name: {
    inherit name;
    type = lib.types.${name} or null;
    payload = null;
    binOp = _: _: null;
  };

  mkOptionType =
    {
      name,
      description ? null,
      descriptionClass ? null,
      check ? (_: true),
      merge ? lib.options.mergeDefaultOption,
      emptyValue ? { },
      getSubOptions ? (_prefix: { }),
      getSubModules ? null,
      substSubModules ? (_modules: null),
      # Derived from the functor where it is not given.
      typeMerge ? null,
      # That of a type without parameters where it is not given.
      functor ? null,
      deprecationMessage ? null,
      nestedTypes ? { },
      # What a definition of a wrong type is told beside the type's name; makes it a type error.
      explainMismatch ? null,
      # What is known about the value beside the value.
      valueMeta ? null,
    }@args:
    let
      functor' = if functor == null then defaultFunctor name // { type = self; } else functor;
      self = {
        _type = "option-type";
        description = if description == null then name else description;
        inherit
          name
          descriptionClass
          check
          merge
          emptyValue
          getSubOptions
          getSubModules
          substSubModules
          deprecationMessage
          nestedTypes
          ;
        functor = functor';
        typeMerge = if typeMerge == null then defaultTypeMerge functor' else typeMerge;
        ${if explainMismatch == null then null else "explainMismatch"} = explainMismatch;
        ${if valueMeta == null then null else "valueMeta"} = valueMeta;
      };
    in
    self;

  # A description to stand inside another: in parentheses unless it is simple enough for `unparenthesize` to agree.
  optionDescriptionPhrase =
    unparenthesize: type:
    if unparenthesize (type.descriptionClass or null) then type.description else "(${type.description})";
in
{
  inherit
    isType
    setType
    isOptionType
    defaultTypeMerge
    defaultFunctor
    mkOptionType
    optionDescriptionPhrase
    ;

  # A functor for a type with one nested type, which both declarations must be able to agree on.
  elemTypeFunctor =
    name: payload: make:
    defaultFunctor name
    // {
      type = make;
      inherit payload;
      binOp =
        a: b:
        let
          merged = a.elemType.typeMerge b.elemType.functor;
        in
        if merged == null then null else { elemType = merged; };
    };

  # Two types of which neither is known to be the other's kind.
  mergeTypes =
    t1: t2:
    if !isOptionType t1 || !isOptionType t2 then
      throw "mergeTypes: both arguments must be option types"
    else
      let
        merged = t1.typeMerge t2.functor;
      in
      if merged == null then setType "merge-error" { error = "Cannot merge incompatible types"; } else merged;
}
