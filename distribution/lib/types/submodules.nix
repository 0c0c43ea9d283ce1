# Types whose values are configurations of their own, or modules.
{
  lib,
  base,
  types,
}:
let
  inherit (builtins)
    concatMap
    filter
    head
    isAttrs
    isFunction
    isList
    isPath
    isString
    length
    map
    tail
    throw
    ;
  inherit (base) mkOptionType optionDescriptionPhrase;
  inherit (lib.modules) evalModules mkOptionDefault setDefaultModuleLocation;
  last = lib.lists.last;

  submoduleWith =
    {
      modules,
      specialArgs ? { },
      # Whether a set as a value is all configuration, even where it has attributes called `config` or `options`.
      shorthandOnlyDefinesConfig ? false,
      description ? null,
      class ? null,
    }@args:
    let
      fromDefinitions =
        defs:
        map (
          { value, file, ... }:
          if isAttrs value && shorthandOnlyDefinesConfig == true then
            {
              _file = file;
              config = value;
            }
          else
            setDefaultModuleLocation file value
        ) defs;

      # The submodule without a value, for its options and freeform type. Never forced where only values are asked for.
      plain = evalModules {
        inherit class specialArgs;
        modules = [
          { _module.args.name = mkOptionDefault "‹name›"; }
          noCheckForDocsModule
        ]
        ++ modules;
      };
      freeformType = plain._module.freeformType;

      configurationOf =
        loc: defs:
        evalModules {
          inherit class specialArgs;
          prefix = loc;
          modules = [
            { _module.args.name = mkOptionDefault "‹name›"; }
          ]
          ++ modules
          ++ [ { _module.args.name = last loc; } ]
          ++ fromDefinitions defs;
        };
    in
    mkOptionType {
      name = "submodule";
      description =
        if description != null then
          description
        else if freeformType == null then
          "submodule"
        else
          "open ${if class == null then "" else "${class} "}submodule of ${
            optionDescriptionPhrase (class: class == "noun" || class == "composite") freeformType
          }";
      check = x: isAttrs x || isFunction x || types.path.check x;
      merge = loc: defs: (configurationOf loc defs).config;
      valueMeta = loc: defs: { configuration = configurationOf loc defs; };
      emptyValue.value = { };
      getSubOptions =
        prefix:
        (plain.extendModules { inherit prefix; }).options
        // (
          if freeformType == null then
            { }
          else
            # Visible in documentation as what any name may be.
            { _freeformOptions = freeformType.getSubOptions prefix; }
        );
      getSubModules = modules;
      substSubModules = m: submoduleWith (args // { modules = m; });
      nestedTypes = if freeformType == null then { } else { inherit freeformType; };
      functor = base.defaultFunctor "submodule" // {
        type = submoduleWith;
        payload = {
          inherit
            modules
            class
            specialArgs
            shorthandOnlyDefinesConfig
            description
            ;
        };
        binOp = a: b: {
          class =
            # A class makes one that has none its own.
            if a.class == null then
              b.class
            else if b.class == null || a.class == b.class then
              a.class
            else
              throw "A submoduleWith option is declared multiple times with conflicting class values \"${toString a.class}\" and \"${toString b.class}\".";
          modules = a.modules ++ b.modules;
          specialArgs =
            let
              both = builtins.intersectAttrs a.specialArgs b.specialArgs;
            in
            if both == { } then
              a.specialArgs // b.specialArgs
            else
              throw "A submoduleWith option is declared multiple times with the same specialArgs \"${
                builtins.concatStringsSep "\", \"" (builtins.attrNames both)
              }\"";
          shorthandOnlyDefinesConfig =
            if a.shorthandOnlyDefinesConfig == null then
              b.shorthandOnlyDefinesConfig
            else if b.shorthandOnlyDefinesConfig == null || a.shorthandOnlyDefinesConfig == b.shorthandOnlyDefinesConfig then
              a.shorthandOnlyDefinesConfig
            else
              throw "A submoduleWith option is declared multiple times with conflicting shorthandOnlyDefinesConfig values";
          description =
            if a.description == null then
              b.description
            else if b.description == null || a.description == b.description then
              a.description
            else
              throw "A submoduleWith option is declared multiple times with conflicting descriptions";
        };
      };
    };

  # Options are documented without a value, and so also without the modules that declare what other modules define.
  noCheckForDocsModule = {
    _file = "<documentation of a submodule>";
    config._module.check = lib.modules.mkForce false;
  };

  deferredModuleWith =
    {
      staticModules ? [ ],
    }@args:
    mkOptionType {
      name = "deferredModule";
      description = "module";
      descriptionClass = "noun";
      check = x: isAttrs x || isFunction x || types.path.check x;
      merge = loc: defs: {
        imports =
          staticModules
          ++ map (
            def:
            setDefaultModuleLocation "${def.file}, via option ${lib.options.showOption loc}" def.value
          ) defs;
      };
      emptyValue = { };
      inherit (submoduleWith { modules = staticModules; }) getSubOptions getSubModules;
      substSubModules = m: deferredModuleWith (args // { staticModules = m; });
      functor = base.defaultFunctor "deferredModuleWith" // {
        type = deferredModuleWith;
        payload = { inherit staticModules; };
        binOp = a: b: { staticModules = lib.lists.unique (a.staticModules ++ b.staticModules); };
      };
    };
in
{
  inherit submoduleWith deferredModuleWith noCheckForDocsModule;

  submodule =
    modules:
    submoduleWith {
      shorthandOnlyDefinesConfig = true;
      modules = if isList modules then modules else [ modules ];
    };

  deferredModule = deferredModuleWith { };

  # Declares an option, not a value.
  optionDeclaration = mkOptionType {
    name = "optionDeclaration";
    description = "option declaration";
    descriptionClass = "noun";
    check = x: x._type or null == "option";
    merge = lib.options.mergeOneOption;
  };
}
