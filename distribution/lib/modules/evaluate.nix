# `evalModules`: from modules to `{ config, options, … }`.
{
  lib,
  collect,
  merge,
}:
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    head
    isAttrs
    map
    mapAttrs
    removeAttrs
    seq
    throw
    ;
  inherit (lib.lists) reverseList;
  inherit (lib.options) mkOption showDefs showOption;
  inherit (lib.trivial) warn;
  suggest = import ./suggest.nix { inherit lib; };

  # Where the options under `_module` are said to be declared.
  ownFile = "lib/modules.nix";

  # Options' values in place of the options.
  valuesOf =
    let
      go = mapAttrs (_: v: if isAttrs v && !(v._type or null == "option") then go v else v.value);
    in
    go;

  deepMerge =
    l: r:
    l
    // mapAttrs (
      name: new: if l ? ${name} && isAttrs new && isAttrs l.${name} then deepMerge l.${name} new else new
    ) r;

  setAt = lib.attrsets.setAttrByPath;

  unmatchedError =
    prefix: options: def:
    let
      missing = showOption (prefix ++ def.prefix);
      parentPath = lib.lists.init def.prefix;
      parent = lib.attrsets.attrByPath parentPath { } options;
      siblings = attrNames (removeAttrs parent [ "_module" ]);
      near = suggest.nearest (lib.lists.last def.prefix) siblings;
      hint =
        if removeAttrs options [ "_module" ] == { } then
          if prefix == [ ] then
            "\n\nIt seems as if you're trying to declare an option by placing it into `config' rather than `options'!"
          else
            ''


              However there are no options defined in `${showOption prefix}'. Are you sure you've
              declared your options properly? This can happen if you e.g. declared your options in `types.submodule'
              under `config' rather than `options'.''
        else if near == [ ] then
          ""
        else
          "\n\nDid you mean ${suggest.oneOf (map (name: showOption (prefix ++ parentPath ++ [ name ])) near)}?";
    in
    throw "The option `${missing}' does not exist. Definition values:${showDefs [ def ]}${hint}";

  evalModules =
    evalModulesArgs@{
      modules,
      prefix ? [ ],
      specialArgs ? { },
      # Only modules of this class, or of none, may take part.
      class ? null,
      # Deprecated: set `_module.args` and `_module.check` instead.
      args ? { },
      check ? true,
    }:
    let
      deprecations =
        x:
        if evalModulesArgs ? args then
          warn "The args argument to evalModules is deprecated. Please set config._module.args instead." x
        else if evalModulesArgs ? check then
          warn "The check argument to evalModules is deprecated. Please set config._module.check instead." x
        else
          x;

      legacyModules =
        (
          if evalModulesArgs ? args then
            [ { config._module.args = args; } ]
          else
            [ ]
        )
        ++ (
          if evalModulesArgs ? check then
            [ { config._module.check = lib.modules.mkDefault check; } ]
          else
            [ ]
        );

      # Modules that come first win ties of `// `-like merges, so legacy ones come first.
      regularModules = modules ++ legacyModules;

      internalModule = {
        _file = ownFile;
        key = ownFile;
        options._module = ownOptions prefix;
        config._module = {
          args = {
            inherit extendModules;
            moduleType = type;
          };
          inherit specialArgs;
        };
      };

      collected = collect.collectModules class (specialArgs.modulesPath or "") (regularModules ++ [ internalModule ]) (
        {
          inherit
            lib
            options
            specialArgs
            ;
          config = config';
          _class = class;
          _prefix = prefix;
        }
        // specialArgs
      );

      # Later modules' definitions come first: what is appended to a list by an importer stands before what it imports.
      merged = merge.mergeModules prefix (reverseList collected);
      options = merged.matchedOptions;

      declaredConfig = valuesOf options;
      freeformType = declaredConfig._module.freeformType;
      unmatched = merged.unmatchedDefns;

      config' =
        if freeformType == null then
          declaredConfig
        else
          deepMerge (
            if unmatched == [ ] then
              { }
            else
              (merge.mergeDefinitions prefix freeformType (
                map (def: {
                  inherit (def) file;
                  value = setAt def.prefix def.value;
                }) unmatched
              )).mergedValue
          ) declaredConfig;

      checked =
        if freeformType == null && declaredConfig._module.check && unmatched != [ ] then
          seq (unmatchedError prefix options (head unmatched))
        else
          (x: x);

      extendModules =
        extension@{
          modules ? [ ],
          specialArgs ? { },
          prefix ? [ ],
        }:
        evalModules (
          evalModulesArgs
          // {
            inherit class;
            modules = regularModules ++ modules;
            specialArgs = evalModulesArgs.specialArgs or { } // specialArgs;
            prefix = extension.prefix or evalModulesArgs.prefix or [ ];
          }
        );

      type = lib.types.submoduleWith {
        inherit modules specialArgs class;
      };

    in
    deprecations {
      _type = "configuration";
      options = checked options;
      config = checked (removeAttrs config' [ "_module" ]);
      _module = checked config'._module;
      inherit
        extendModules
        type
        class
        ;
    };

  ownOptions =
    let
      inherit (lib) types;
      inherit (lib.options) literalExpression;
      common = {
        check = mkOption {
          type = types.bool;
          internal = true;
          default = true;
          description = "Whether a definition of an option that no module declares is an error.";
        };
        freeformType = mkOption {
          type = types.nullOr types.optionType;
          internal = true;
          default = null;
          description = ''
            The type that merges all definitions for which there is no option. Its value becomes part of `config`, below
            the values of declared options. With `null`, such definitions are errors, unless {option}`_module.check` is off.
          '';
        };
        specialArgs = mkOption {
          readOnly = true;
          internal = true;
          description = ''
            Arguments of modules that the caller of the evaluation gave. They can decide what is imported, and no module can change them.
          '';
        };
      };
      args = {
        type = types.lazyAttrsOf types.raw;
        description = ''
          More arguments for every module, besides `lib`, `config`, `options`, `specialArgs` and what is in `specialArgs`,
          which cannot be changed here. Submodules do not get them, and get `name` instead: the name of the attribute
          that the submodule is the value of.

          An argument from here may depend on the configuration. What decides about `imports` must not, as imports are
          followed before there is a configuration: pass that as `specialArgs`.
        '';
      };
      atRoot = common // {
        args = mkOption args;
      };
      below = common // {
        args = mkOption (args // { internal = true; });
      };
    in
    prefix: if prefix == [ ] then atRoot else below;
in
{
  inherit evalModules;
}
