# Modules that keep old names of options working, or say where they went.
{ lib, properties }:
let
  inherit (builtins)
    concatMap
    filter
    head
    isList
    length
    map
    throw
    trace
    toString
    ;
  inherit (lib.attrsets) attrByPath getAttrFromPath hasAttrByPath setAttrByPath;
  inherit (lib.options) mkOption showFiles showOption;
  inherit (properties) mkIf mkMerge mkOverride;
  types = lib.types;

  doRename =
    {
      from,
      to,
      # Whether the old option shows up in documentation.
      visible,
      # Whether a definition by the old name is worth a warning.
      warn,
      # What reading the old name does beside giving the new one's value.
      use,
      # Whether definitions keep their priority, and not only their values.
      withPriority ? true,
      condition ? true,
      markdown ? null,
    }:
    { config, options, ... }:
    let
      target = getAttrFromPath to options;
      targetType = target.type or (types.submodule { });
      value = attrByPath to (abort "Renaming error: option `${showOption to}' does not exist.") config;
      old = getAttrFromPath from options;
    in
    {
      options = setAttrByPath from (
        mkOption {
          inherit visible;
          description = "Alias of {option}`${showOption to}`.";
          apply = _: use value;
        }
        // (
          # The type is that of the new option, wherever it has one, so that definitions merge the same.
          if (attrByPath to { } options) ? type then
            { type = targetType; }
          else
            { }
        )
      );
      config = mkIf condition (
        mkMerge [
          (
            if options ? warnings then
              {
                warnings =
                  if warn && old.isDefined then
                    [
                      "The option `${showOption from}' defined in ${showFiles old.files} has been renamed to `${showOption to}'."
                    ]
                  else
                    [ ];
              }
            else
              { }
          )
          (
            if withPriority then
              properties.mkAliasAndWrapDefsWithPriority (setAttrByPath to) old
            else
              properties.mkAliasAndWrapDefinitions (setAttrByPath to) old
          )
        ]
      );
    };

  warnUse =
    from: to: x:
    trace "Obsolete option `${showOption from}' is used. It was renamed to `${showOption to}'." x;

  mkMergedOptionModule =
    from: to: mergeFn:
    { config, options, ... }:
    {
      options = lib.lists.foldl' lib.attrsets.recursiveUpdate { } (
        map (
          path:
          setAttrByPath path (mkOption {
            visible = false;
            # A value that nothing can be: whether it was defined must show.
            default = "_mkMergedOptionModule";
          })
        ) from
      );
      config =
        let
          isSet = path: getAttrFromPath path config != "_mkMergedOptionModule";
        in
        {
          warnings = filter (message: message != "") (
            map (
              path:
              let
                value = getAttrFromPath path config;
                opt = getAttrFromPath path options;
              in
              if isSet path then
                "The option `${showOption path}' defined in ${showFiles opt.files} has been changed to `${showOption to}' that has a different type. Please read `${showOption to}' documentation and update your configuration accordingly."
              else
                ""
            ) from
          );
        }
        // setAttrByPath to (mkMerge (if builtins.any isSet from then [ (mergeFn config) ] else [ ]));
    };

  mkAliasOptionModule =
    from: to:
    doRename {
      inherit from to;
      visible = true;
      warn = false;
      use = x: x;
    };
in
{
  inherit doRename mkAliasOptionModule mkMergedOptionModule;

  mkRemovedOptionModule =
    path: replacementInstructions:
    { options, ... }:
    {
      options = setAttrByPath path (mkOption {
        visible = false;
        apply =
          _:
          throw "The option `${showOption path}' can no longer be used since it's been removed. ${replacementInstructions}";
      });
      config.assertions =
        let
          opt = getAttrFromPath path options;
        in
        [
          {
            assertion = !opt.isDefined;
            message = ''
              The option definition `${showOption path}' in ${showFiles opt.files} no longer has any effect; please remove it.
              ${replacementInstructions}
            '';
          }
        ];
    };

  mkRenamedOptionModule =
    from: to:
    doRename {
      inherit from to;
      visible = false;
      warn = true;
      use = warnUse from to;
    };

  # Both names are meant to work until the release that is the oldest supported one is the given one.
  mkRenamedOptionModuleWith =
    {
      from,
      to,
      # As a number: 2511 is 25.11.
      sinceRelease,
    }:
    let
      warn = lib.trivial.oldestSupportedReleaseIsAtLeast sinceRelease;
    in
    doRename {
      inherit from to warn;
      visible = false;
      use = if warn then warnUse from to else (x: x);
    };

  mkChangedOptionModule =
    from: to: changeFn:
    mkMergedOptionModule [ from ] to changeFn;

  mkAliasOptionModuleMD = lib.trivial.warn "mkAliasOptionModuleMD is deprecated and will be removed in 26.05; please use mkAliasOptionModule." mkAliasOptionModule;

  # What `f` makes of an option's definitions, where it has any.
  mkDerivedConfig = opt: f: mkOverride (opt.highestPrio or properties.defaultOverridePriority) (f opt.value);
}
