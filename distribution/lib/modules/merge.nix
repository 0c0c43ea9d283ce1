# Merging: the option declarations and the definitions of all modules become a tree of options that know their values.
#
# This is the hottest code of a system's evaluation. Everything is lazy in the option: naming an option's sibling costs an
# attribute in a set and nothing more.
{ lib, properties }:
let
  inherit (builtins)
    addErrorContext
    all
    any
    attrNames
    catAttrs
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    head
    isAttrs
    length
    map
    mapAttrs
    removeAttrs
    tail
    throw
    toString
    typeOf
    unsafeGetAttrPos
    zipAttrsWith
    ;
  inherit (properties)
    defaultOverridePriority
    dischargeProperties
    filterOverrides'
    noPriority
    pushDownProperties
    sortProperties
    ;
  showOption = path: lib.options.showOption path;
  showFiles = files: lib.options.showFiles files;
  showDefs = defs: lib.options.showDefs defs;

  # ## declarations

  # Several declarations of one option are one, as long as they do not contradict each other.
  mergeOptionDecls =
    loc: decls:
    let
      first = head decls;
      start = declare first {
        inherit loc;
        declarations = [ ];
        declarationPositions = [ ];
        options = [ ];
      };
    in
    if tail decls == [ ] then start else foldl' (merged: decl: mergeDecl loc merged decl) start (tail decls);

  declare =
    decl: merged:
    let
      submodules = decl.options.type.getSubModules or null;
    in
    decl.options
    // merged
    // {
      declarations = merged.declarations ++ [ decl._file ];
      declarationPositions = merged.declarationPositions ++ (if decl.pos == null then [ ] else [ decl.pos ]);
      options =
        if submodules == null then
          merged.options
        else
          map (lib.modules.setDefaultModuleLocation decl._file) submodules ++ merged.options;
    };

  mergeDecl =
    loc: merged: decl:
    let
      both = name: decl.options ? ${name} && merged ? ${name};
      bothTyped = both "type";
      type = merged.type.typeMerge decl.options.type.functor;
    in
    if both "default" || both "example" || both "description" || both "apply" || (bothTyped && type == null) then
      throw "The option `${showOption loc}' in `${decl._file}' is already declared in ${showFiles merged.declarations}."
    else
      declare decl merged // (if bothTyped then { inherit type; } else { });

  # An option of a type with submodules gets those of all its declarations.
  fixupOptionType =
    loc: opt:
    if !opt ? type then
      opt // { type = lib.types.unspecified; }
    else if opt.type.getSubModules or null == null then
      opt
    else
      opt
      // {
        type = opt.type.substSubModules opt.options;
        options = [ ];
      };

  isOption = v: v._type or null == "option";

  # A set of options at the place of an option of type submodule extends that submodule.
  optionTreeToOption =
    decl:
    if isOption decl.options then
      decl
    else
      decl
      // {
        options = lib.options.mkOption {
          type = lib.types.submoduleWith {
            modules = [ { inherit (decl) options; } ];
            # Definitions are merged as the declared option wants them.
            shorthandOnlyDefinesConfig = null;
          };
        };
      };

  nestedOptionsError =
    loc: option: others:
    throw ''
      The option `${showOption loc}' in module `${option._file}' would be a parent of the following options, but its type `${
        option.options.type.description or "<no description>"
      }' does not support nested options.
      ${concatStringsSep "\n" (
        concatMap (
          decl: map (name: " - option(s) with prefix `${showOption (loc ++ [ name ])}' in module `${decl._file}'") (attrNames decl.options)
        ) others
      )}'';

  # ## the tree

  mergeModules =
    prefix: modules:
    mergeModules' prefix modules (
      concatMap (
        m:
        map (config: {
          file = m._file;
          inherit config;
        }) (pushDownProperties m.config)
      ) modules
    );

  # `modules` are the declarations (`{ _file, options }`) and `configs` the definitions (`{ file, config }`) below `prefix`.
  # Gives the options, and the definitions that none of them matches.
  mergeModules' =
    prefix: modules: configs:
    let
      declsByName = zipAttrsWith (_: decls: decls) (
        map (
          module:
          let
            inherit (module) _file options;
          in
          if !isAttrs options then
            throw ''
              An option declaration for `${showOption prefix}' has type
              `${typeOf options}' rather than an attribute set.
              Did you mean to define this outside of `options'?''
          else
            mapAttrs (name: option: {
              inherit _file;
              pos = unsafeGetAttrPos name options;
              options = option;
            }) options
        ) modules
      );

      defsByName = zipAttrsWith (_: defs: defs) (
        map (
          def:
          let
            inherit (def) file config;
          in
          if !isAttrs config then
            throw ''
              In module `${file}', you're trying to define a value of type `${typeOf config}'
              rather than an attribute set for the option
              `${showOption prefix}'!

              This usually happens if `${showOption prefix}' has option
              definitions inside that are not matched. Please check how to properly define
              this option by e.g. referring to `man 5 configuration.nix'!''
          else
            mapAttrs (_: value: { inherit file value; }) config
        ) configs
      );

      results = mapAttrs (
        name: decls:
        let
          loc = prefix ++ [ name ];
          optionDecls = filter (
            decl:
            decl.options ? _type
            && (
              decl.options._type == "option"
              || throw "In module ${decl._file}: expected an option declaration at option path `${showOption loc}` but got an attribute set with type ${decl.options._type}"
            )
          ) decls;
        in
        if optionDecls == [ ] then
          mergeModules' loc decls (
            concatMap (
              def:
              map (config: {
                inherit (def) file;
                inherit config;
              }) (pushDownProperties def.value)
            ) (defsByName.${name} or [ ])
          )
        else if tail optionDecls == [ ] && tail decls == [ ] || length optionDecls == length decls then
          {
            matchedOptions = evalOptionValue loc (fixupOptionType loc (mergeOptionDecls loc decls)) (
              defsByName.${name} or [ ]
            );
            unmatchedDefns = [ ];
          }
        else if all (decl: decl.options.type.name or null == "submodule") optionDecls then
          {
            matchedOptions = evalOptionValue loc (fixupOptionType loc (
              mergeOptionDecls loc (map optionTreeToOption decls)
            )) (defsByName.${name} or [ ]);
            unmatchedDefns = [ ];
          }
        else
          nestedOptionsError loc (head optionDecls) (filter (decl: !isOption decl.options) decls)
      ) declsByName;

      unmatchedHere = removeAttrs defsByName (attrNames declsByName);
    in
    {
      matchedOptions = mapAttrs (_: r: r.matchedOptions) results;
      unmatchedDefns =
        if configs == [ ] then
          [ ]
        else
          let
            matched = attrNames (builtins.intersectAttrs defsByName declsByName);
            below = concatMap (
              name:
              map (def: def // { prefix = [ name ] ++ def.prefix; }) results.${name}.unmatchedDefns
            ) matched;
            here = concatMap (
              name:
              map (def: {
                inherit (def) file value;
                prefix = [ name ];
              }) unmatchedHere.${name}
            ) (attrNames unmatchedHere);
          in
          if unmatchedHere == { } then
            below
          else if below == [ ] then
            here
          else
            builtins.sort (a: b: head a.prefix < head b.prefix) (here ++ below);
    };

  # ## values

  # An option with its value, and all that was said about it.
  evalOptionValue =
    loc: opt: defs:
    let
      allDefs =
        if opt ? default then
          [
            {
              file = head opt.declarations;
              value = {
                _type = "override";
                priority = 1500;
                content = opt.default;
              };
            }
          ]
          ++ defs
        else
          defs;

      res =
        if opt.readOnly or false && length allDefs > 1 then
          throw "The option `${showOption loc}' is read-only, but it's set multiple times. Definition values:${
            showDefs (
              map (def: def // { value = (mergeDefinitions loc opt.type [ def ]).mergedValue; }) allDefs
            )
          }"
        else
          mergeDefinitions loc opt.type allDefs;

      value = addErrorContext "while evaluating the option `${showOption loc}':" (
        if opt ? apply then opt.apply res.mergedValue else res.mergedValue
      );

      evaluated = opt // {
        inherit value;
        inherit (res.defsFinal') highestPrio;
        definitions = map (def: def.value) res.defsFinal;
        files = map (def: def.file) res.defsFinal;
        definitionsWithLocations = res.defsFinal;
        inherit (res) isDefined valueMeta;
        __toString = _: showOption loc;
      };
    in
    if opt.type.deprecationMessage or null == null then
      evaluated
    else
      lib.trivial.warn "The type `types.${opt.type.name}' of option `${showOption loc}' defined in ${showFiles opt.declarations} is deprecated. ${opt.type.deprecationMessage}" evaluated;

  isProperty =
    value:
    let
      kind = value._type or null;
    in
    kind != null && (kind == "if" || kind == "merge" || kind == "override" || kind == "order" || kind == "definition");

  # The definitions that count, without properties and in order.
  finalDefs =
    defs:
    if defs != [ ] && tail defs == [ ] && !isProperty (head defs).value then
      # By far the most frequent case.
      {
        values = defs;
        highestPrio = defaultOverridePriority;
      }
    else
      let
        discharged = concatMap (
          def:
          map (value: if value._type or null == "definition" then value else { inherit (def) file; inherit value; }) (
            addErrorContext "while evaluating definitions from `${def.file}':" (dischargeProperties def.value)
          )
        ) defs;
        strongest = filterOverrides' discharged;
      in
      {
        values = sortProperties strongest.values;
        inherit (strongest) highestPrio;
      };

  wrongType =
    loc: type: defs:
    throw "A definition for option `${showOption loc}' is not of type `${type.description}'. ${
      if type ? explainMismatch then "TypeError: ${type.explainMismatch loc}" else ""
    }Definition values:${showDefs (filter (def: !type.check def.value) defs)}";

  # The value of some definitions without properties that are known to be there.
  checkedValue =
    loc: type: defs:
    if all (def: type.check def.value) defs then
      (if type.merge ? v2 then (v2Merge loc type defs).value else type.merge loc defs)
    else
      wrongType loc type defs;

  # Types from elsewhere may merge in a form that returns errors and facts about the value beside it.
  v2Merge =
    loc: type: defs:
    let
      r = type.merge.v2 { inherit loc defs; };
    in
    if r.headError == null then
      r
    else
      throw "A definition for option `${showOption loc}' is not of type `${type.description}'. TypeError: ${r.headError.message}";

  mergeDefinitions =
    loc: type: defs:
    let
      defsFinal' = finalDefs defs;
      defsFinal = defsFinal'.values;
      isDefined = defsFinal != [ ];
      mergedValue =
        if isDefined then
          checkedValue loc type defsFinal
        else if type.emptyValue ? value then
          # As if it had been defined so: a submodule without definitions still has its defaults.
          checkedValue loc type [
            {
              file = lib.options.unknownModule;
              inherit (type.emptyValue) value;
            }
          ]
        else
          throw "The option `${showOption loc}' was accessed but has no value defined. Try setting the option.";
    in
    {
      inherit
        defsFinal'
        defsFinal
        isDefined
        mergedValue
        ;
      valueMeta =
        if !isDefined then
          { }
        else if type.merge ? v2 then
          (v2Merge loc type defsFinal).valueMeta or { }
        else if type ? valueMeta then
          type.valueMeta loc defsFinal
        else
          { };
      optionalValue = if isDefined then { value = mergedValue; } else { };
    };

  # The same for a single definition, as `{ value }` or `{ }`: the elements of lists and sets.
  mergeOne =
    loc: type: file: value:
    if isProperty value then
      (mergeDefinitions loc type [ { inherit file value; } ]).optionalValue
    else
      { value = checkedValue loc type [ { inherit file value; } ]; };
in
{
  inherit
    evalOptionValue
    fixupOptionType
    mergeDefinitions
    mergeModules
    mergeModules'
    mergeOne
    mergeOptionDecls
    ;

}
