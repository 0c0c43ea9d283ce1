# The module system: many modules that declare options and define their values become one configuration.
#
#   collect.nix     which modules take part: imports, keys, disabled modules, the forms a module may be written in
#   merge.nix       declarations and definitions of all modules become a tree of options with values
#   properties.nix  mkIf, mkMerge, mkForce, mkBefore …: definitions that carry a condition, a priority or a place
#   evaluate.nix    evalModules, which ties the knot
#   suggest.nix     the nearest names for an option that does not exist
#   renames.nix     modules that keep old option names alive
{ lib }:
let
  properties = import ./properties.nix { inherit lib; };
  merge = import ./merge.nix { inherit lib properties; };
  collect = import ./collect.nix { inherit lib properties; };
  evaluate = import ./evaluate.nix { inherit lib collect merge; };
  renames = import ./renames.nix { inherit lib properties; };
in
{
  inherit (properties)
    defaultOrderPriority
    defaultOverridePriority
    dischargeProperties
    filterOverrides
    filterOverrides'
    mkAfter
    mkAliasAndWrapDefinitions
    mkAliasAndWrapDefsWithPriority
    mkAliasDefinitions
    mkAliasIfDef
    mkAssert
    mkBefore
    mkDefault
    mkDefinition
    mkFixStrictness
    mkForce
    mkIf
    mkImageMediaOverride
    mkMerge
    mkOptionDefault
    mkOrder
    mkOverride
    mkVMOverride
    mapDefinitionValue
    mergeAttrDefinitionsWithPrio
    pushDownProperties
    sortProperties
    ;
  inherit (merge)
    evalOptionValue
    fixupOptionType
    mergeDefinitions
    mergeModules
    mergeModules'
    mergeOptionDecls
    ;
  inherit (collect)
    applyModuleArgsIfFunction
    collectModules
    importApply
    importJSON
    importTOML
    setDefaultModuleLocation
    unifyModuleSyntax
    ;
  inherit (evaluate) evalModules;
  inherit (renames)
    doRename
    mkAliasOptionModule
    mkAliasOptionModuleMD
    mkChangedOptionModule
    mkDerivedConfig
    mkMergedOptionModule
    mkRemovedOptionModule
    mkRenamedOptionModule
    mkRenamedOptionModuleWith
    ;
}
