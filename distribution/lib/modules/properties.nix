# Properties: what a definition may be wrapped in, and how the wrappers are taken off again.
#
# A wrapped value is a set with `_type`. Conditions and merges may stand around whole configurations and are pushed down to
# the options in them; priorities decide which definitions count at all, and orders where they stand among those.
{ lib }:
let
  inherit (builtins)
    addErrorContext
    all
    any
    attrNames
    concatMap
    foldl'
    filter
    isBool
    map
    mapAttrs
    sort
    throw
    zipAttrsWith
    ;

  defaultOverridePriority = 100;
  defaultOrderPriority = 1000;
  # Weaker than any definition can be.
  noPriority = 9999;

  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOrder = priority: content: {
    _type = "order";
    inherit priority content;
  };
  mkDefinition = definition@{ file, value, ... }: definition // { _type = "definition"; };

  # The values that a wrapped value stands for: those whose conditions hold, of all that are merged.
  dischargeProperties =
    value:
    let
      kind = value._type or null;
    in
    if kind == null then
      [ value ]
    else if kind == "merge" then
      concatMap dischargeProperties value.contents
    else if kind == "if" then
      if !isBool value.condition then
        throw "‘mkIf’ called with a non-Boolean condition"
      else if value.condition then
        dischargeProperties value.content
      else
        [ ]
    else
      [ value ];

  # The same for a set of options: every wrapper moves one level down, so that the names are known without forcing the
  # conditions. `mkIf config.a.enable { b = …; }` may then depend on a sibling of b.
  pushDownProperties =
    config:
    let
      kind = config._type or null;
    in
    if kind == null then
      [ config ]
    else if kind == "merge" then
      concatMap pushDownProperties config.contents
    else if kind == "if" then
      map (mapAttrs (_: mkIf config.condition)) (pushDownProperties config.content)
    else if kind == "override" then
      map (mapAttrs (_: mkOverride config.priority)) (pushDownProperties config.content)
    else
      [ config ];

  priorityOf =
    def: if def.value._type or null == "override" then def.value.priority else defaultOverridePriority;

  # Only the definitions with the strongest priority, without the mark of it.
  filterOverrides' =
    defs:
    if !any (def: def.value._type or null == "override") defs then
      {
        values = defs;
        highestPrio = if defs == [ ] then noPriority else defaultOverridePriority;
      }
    else
      let
        highestPrio = foldl' (
          best: def:
          let
            p = priorityOf def;
          in
          if p < best then p else best
        ) noPriority defs;
      in
      {
        inherit highestPrio;
        values = concatMap (
          def:
          if priorityOf def != highestPrio then
            [ ]
          else if def.value._type or null == "override" then
            [ (def // { value = def.value.content; }) ]
          else
            [ def ]
        ) defs;
      };

  # By order; definitions of the same order stay as they stand.
  sortProperties =
    defs:
    if !any (def: def.value._type or null == "order" || def ? priority) defs then
      defs
    else
      sort (a: b: (a.priority or defaultOrderPriority) < (b.priority or defaultOrderPriority)) (
        map (
          def:
          if def.value._type or null == "order" then
            def
            // {
              value = def.value.content;
              inherit (def.value) priority;
            }
          else
            def
        ) defs
      );

  mkAliasIfDef = option: mkIf (option.isDefined or false);
  mkAliasAndWrapDefinitions = wrap: option: mkAliasIfDef option (wrap (mkMerge option.definitions));
  mkAliasAndWrapDefsWithPriority =
    wrap: option:
    let
      # Options of many names share a set, and its own priority says nothing about theirs.
      prio = option.highestPrio or defaultOverridePriority;
      withPrio = map (mkOverride prio) option.definitions;
    in
    mkAliasIfDef option (wrap (mkMerge withPrio));
in
{
  inherit
    defaultOrderPriority
    defaultOverridePriority
    dischargeProperties
    filterOverrides'
    mkAliasAndWrapDefinitions
    mkAliasAndWrapDefsWithPriority
    mkAliasIfDef
    mkDefinition
    mkIf
    mkMerge
    mkOrder
    mkOverride
    noPriority
    pushDownProperties
    sortProperties
    ;

  filterOverrides = defs: (filterOverrides' defs).values;

  mkAssert = assertion: message: mkIf (if assertion then true else throw "\nFailed assertion: ${message}");

  # ## priorities, the strongest first
  mkVMOverride = mkOverride 10;
  mkForce = mkOverride 50;
  mkImageMediaOverride = mkOverride 60;
  mkDefault = mkOverride 1000;
  mkOptionDefault = mkOverride 1500;

  # ## places
  mkBefore = mkOrder 500;
  mkAfter = mkOrder 1500;

  mkFixStrictness = lib.trivial.warn "lib.mkFixStrictness has no effect and will be removed. It returns its argument unmodified, so you can just remove any calls." (
    x: x
  );

  mkAliasDefinitions = mkAliasAndWrapDefinitions (x: x);

  # The function applied below the wrappers.
  mapDefinitionValue =
    f:
    let
      inside =
        v:
        let
          kind = v._type or null;
        in
        if kind == "if" || kind == "override" || kind == "order" then
          v // { content = inside v.content; }
        else if kind == "merge" then
          v // { contents = map inside v.contents; }
        else if kind == "definition" then
          v // { value = inside v.value; }
        else
          f v;
    in
    inside;

  # What an option of type `attrsOf` was defined as, each attribute with its strongest priority.
  mergeAttrDefinitionsWithPrio =
    option:
    let
      byName = zipAttrsWith (_: defs: defs) (
        concatMap (
          def:
          map (mapAttrs (
            _: value: {
              inherit (def) file;
              inherit value;
            }
          )) (pushDownProperties def.value)
        ) option.definitionsWithLocations
      );
    in
    mapAttrs (
      name: defs:
      let
        merged = lib.modules.mergeDefinitions (option.loc ++ [ name ]) option.type.nestedTypes.elemType defs;
      in
      {
        value = merged.mergedValue;
        inherit (merged.defsFinal') highestPrio;
      }
    ) byName;
}
