# Types of lists and sets.
{
  lib,
  base,
  types,
}:
let
  inherit (builtins)
    attrNames
    concatLists
    elemAt
    filter
    foldl'
    genList
    head
    isAttrs
    isList
    isString
    length
    listToAttrs
    map
    mapAttrs
    removeAttrs
    tail
    toString
    zipAttrsWith
    ;
  inherit (base) mkOptionType optionDescriptionPhrase;
  inherit (lib.modules) mergeDefinitions;
  mergeInternals = import ../modules/merge.nix {
    inherit lib;
    properties = import ../modules/properties.nix { inherit lib; };
  };
  inherit (mergeInternals) mergeOne;

  listOf =
    elemType:
    mkOptionType rec {
      name = "listOf";
      description = "list of ${optionDescriptionPhrase (class: class == "noun" || class == "composite") elemType}";
      descriptionClass = "composite";
      check = isList;
      merge =
        loc: defs:
        let
          many = length defs > 0;
          # An element has no name of its own; its place says which one it is.
          elements =
            defIndex: def:
            genList (
              i:
              mergeOne (
                loc ++ [ "[definition ${toString (defIndex + 1)}-entry ${toString (i + 1)}]" ]
              ) elemType def.file (elemAt def.value i)
            ) (length def.value);
          all = concatLists (genList (d: elements d (elemAt defs d)) (length defs));
        in
        # An element that a condition left out is no element.
        map (x: x.value) (filter (x: x ? value) all);
      emptyValue.value = [ ];
      getSubOptions = prefix: elemType.getSubOptions (prefix ++ [ "*" ]);
      inherit (elemType) getSubModules;
      substSubModules = m: listOf (elemType.substSubModules m);
      functor = base.elemTypeFunctor name { inherit elemType; } (payload: listOf payload.elemType);
      nestedTypes = { inherit elemType; };
      explainMismatch = _: "";
    };

  # Definitions by attribute, each with the file it is from.
  byName =
    f: defs:
    zipAttrsWith f (
      map (
        def:
        let
          inherit (def) file;
        in
        mapAttrs (_: value: { inherit file value; }) def.value
      ) defs
    );

  attrsWith =
    {
      elemType,
      # Whether names are known without evaluating values; conditions around single values then cannot remove a name.
      lazy ? false,
      placeholder ? "name",
    }:
    let
      payload = { inherit elemType lazy placeholder; };
      typeName = if lazy then "lazyAttrsOf" else "attrsOf";
    in
    mkOptionType {
      name = typeName;
      description =
        (if lazy then "lazy attribute set" else "attribute set")
        + " of ${optionDescriptionPhrase (class: class == "noun" || class == "composite") elemType}";
      descriptionClass = "composite";
      check = isAttrs;
      merge =
        if lazy then
          loc:
          byName (name: defs: (mergeDefinitions (loc ++ [ name ]) elemType defs).mergedValue)
        else
          loc: defs:
          let
            merged = byName (
              name: defs: (mergeDefinitions (loc ++ [ name ]) elemType defs).optionalValue
            ) defs;
            absent = filter (name: !merged.${name} ? value) (attrNames merged);
          in
          mapAttrs (_: m: m.value) (if absent == [ ] then merged else removeAttrs merged absent);
      emptyValue.value = { };
      getSubOptions = prefix: elemType.getSubOptions (prefix ++ [ "<${placeholder}>" ]);
      inherit (elemType) getSubModules;
      substSubModules = m: attrsWith (payload // { elemType = elemType.substSubModules m; });
      functor = base.defaultFunctor "attrsWith" // {
        type = attrsWith;
        inherit payload;
        binOp =
          a: b:
          let
            merged = a.elemType.typeMerge b.elemType.functor;
            # The default name gives way to one that says more.
            placeholder =
              if a.placeholder == b.placeholder then
                a.placeholder
              else if a.placeholder == "name" then
                b.placeholder
              else if b.placeholder == "name" then
                a.placeholder
              else
                null;
          in
          if merged == null || placeholder == null || a.lazy != b.lazy then
            null
          else
            {
              elemType = merged;
              inherit (a) lazy;
              inherit placeholder;
            };
      };
      nestedTypes = { inherit elemType; };
      explainMismatch = _: "";
      valueMeta = loc: defs: {
        attrs = byName (name: defs: (mergeDefinitions (loc ++ [ name ]) elemType defs).valueMeta) defs;
      };
    };

  showNames = names: builtins.concatStringsSep ", " names;

  # A set with exactly one attribute, whose name says which of the types its value is of.
  attrTag =
    tags:
    let
      choices = attrNames tags;
      describe = "attribute-tagged union";
      checked = mapAttrs (
        name: opt:
        if opt._type or null == "option" then
          opt
        else
          throw "In attrTag, each tag value must be an option, but tag ${name} ${
            if opt ? _type then "was of type ${opt._type}." else "was not."
          }"
      ) tags;
      declared = mapAttrs (
        name: opt:
        opt
        // {
          declarations =
            opt.declarations or (
              let
                pos = builtins.unsafeGetAttrPos name tags;
              in
              if pos == null then [ ] else [ pos.file ]
            );
          declarationPositions = opt.declarationPositions or [ ];
        }
      ) checked;
    in
    mkOptionType {
      name = "attrTag";
      description = "attribute-tagged union with choices: ${showNames choices}";
      descriptionClass = "noun";
      getSubOptions = prefix: mapAttrs (name: opt: opt // { loc = prefix ++ [ name ]; }) declared;
      check = v: isAttrs v && (let names = attrNames v; in names != [ ] && tail names == [ ] && tags ? ${head names});
      merge =
        loc: defs:
        let
          choice = head (attrNames (head defs).value);
          below = map (
            def:
            if def.value ? ${choice} then
              {
                inherit (def) file;
                value = def.value.${choice};
              }
            else
              throw "The option `${lib.options.showOption loc}` is defined both as `${choice}` and `${head (attrNames def.value)}`, in ${
                lib.options.showFiles (map (def: def.file) defs)
              }."
          ) defs;
        in
        {
          ${choice} = (lib.modules.evalOptionValue (loc ++ [ choice ]) checked.${choice} below).value;
        };
      nestedTypes = tags;
      functor = base.defaultFunctor "attrTag" // {
        type = payload: attrTag payload.tags;
        payload = { inherit tags; };
        binOp =
          a: b:
          let
            both = builtins.intersectAttrs a.tags b.tags;
            merged = mapAttrs (
              name: opt:
              lib.modules.mergeOptionDecls [ name ] (
                map
                  (o: {
                    _file = "<attrTag {...}>";
                    pos = null;
                    options = o;
                  })
                  [
                    a.tags.${name}
                    opt
                  ]
              )
            ) both;
          in
          { tags = a.tags // b.tags // merged; };
      };
    };
  # Named values in an order of their own, with names that may repeat: written as a set, or as a list of sets with one
  # attribute each. The value is such a list.
  attrListWith =
    {
      elemType,
      # The value as a set instead: of the list of each name's values.
      asAttrs ? false,
      # In the set, what to make of the list of a name's values.
      mergeAttrValues ? null,
    }@args:
    mkOptionType {
      name = "attrListOf";
      description = "attribute list of ${
        optionDescriptionPhrase (class: class == "noun" || class == "composite") elemType
      }";
      descriptionClass = "composite";
      check = v: isAttrs v || isList v;
      merge =
        loc: defs:
        let
          pairsOf =
            def:
            if isAttrs def.value then
              map (name: {
                inherit (def) file;
                inherit name;
                value = def.value.${name};
              }) (attrNames def.value)
            else
              map (
                entry:
                let
                  names = attrNames entry;
                in
                if isAttrs entry && length names == 1 then
                  {
                    inherit (def) file;
                    name = head names;
                    value = entry.${head names};
                  }
                else
                  throw "A definition for option `${lib.options.showOption loc}' is not of type `attribute list of ${elemType.description}'. Each list element must be a single-key attribute set, but got ${toString (length names)} keys.${
                    lib.options.showDefs [
                      {
                        inherit (def) file;
                        value = entry;
                      }
                    ]
                  }"
              ) def.value;
          pairs = builtins.concatMap pairsOf defs;
          # Each on its own, as values of one name do not merge; orders and priorities count among all of them.
          discharged = builtins.concatMap (
            pair: map (value: pair // { inherit value; }) (lib.modules.dischargeProperties pair.value)
          ) pairs;
          final = lib.modules.sortProperties (lib.modules.filterOverrides discharged);
          values = map (pair: {
            inherit (pair) name;
            value = (mergeDefinitions (loc ++ [ pair.name ]) elemType [ { inherit (pair) file value; } ]).mergedValue;
          }) final;
        in
        if asAttrs then
          mapAttrs (
            name: group:
            let
              list = map (pair: pair.value) group;
            in
            if mergeAttrValues == null then list else mergeAttrValues name list
          ) (builtins.groupBy (pair: pair.name) values)
        else
          map (pair: { ${pair.name} = pair.value; }) values;
      emptyValue.value = if asAttrs then { } else [ ];
      getSubOptions = prefix: elemType.getSubOptions (prefix ++ [ "<name>" ]);
      inherit (elemType) getSubModules;
      substSubModules = m: attrListWith (args // { elemType = elemType.substSubModules m; });
      functor = base.elemTypeFunctor "attrListOf" { inherit elemType; } (
        payload: attrListWith (args // { inherit (payload) elemType; })
      );
      nestedTypes = { inherit elemType; };
    };
in
{
  inherit
    listOf
    attrsWith
    attrTag
    ;

  nonEmptyListOf =
    elemType:
    let
      list = types.addCheck (listOf elemType) (l: l != [ ]);
    in
    list
    // {
      description = "non-empty ${optionDescriptionPhrase (class: class == "noun") (listOf elemType)}";
      # No definitions make no list.
      emptyValue = { };
      substSubModules = m: types.nonEmptyListOf (elemType.substSubModules m);
    };

  attrsOf = elemType: attrsWith { inherit elemType; };
  lazyAttrsOf =
    elemType:
    attrsWith {
      inherit elemType;
      lazy = true;
    };

  # Later definitions' attributes replace earlier ones'; nothing below them is merged.
  attrs = mkOptionType {
    name = "attrs";
    description = "attribute set";
    check = isAttrs;
    merge = _loc: defs: foldl' (acc: def: acc // def.value) { } defs;
    emptyValue.value = { };
  };

  attrListOf = elemType: attrListWith { inherit elemType; };
  inherit attrListWith;
}
