# Making functions, derivations and package sets that can be changed after the fact.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    foldl'
    functionArgs
    head
    intersectAttrs
    isAttrs
    isFunction
    isString
    length
    listToAttrs
    map
    mapAttrs
    removeAttrs
    seq
    sort
    tail
    toString
    unsafeGetAttrPos
    ;
  inherit (lib.trivial) mirrorFunctionArgs setFunctionArgs;
  formalsOf = lib.trivial.functionArgs;
  isCallable = lib.trivial.isFunction;
  inherit (lib.fixedPoints) extends;

  # A derivation with more attributes on it and on each of its outputs; its paths only exist while `condition` holds.
  extendDerivation =
    condition: passthru: drv:
    let
      outputs = drv.outputs or [ "out" ];
      perOutput = map (name: {
        inherit name;
        value =
          common
          // {
            inherit (drv.${name}) type outputName;
            outputSpecified = true;
            drvPath =
              assert condition;
              drv.${name}.drvPath;
            outPath =
              assert condition;
              drv.${name}.outPath;
          }
          // (
            if passthru ? overrideAttrs then
              # An output of the changed derivation, not the changed derivation.
              { overrideAttrs = change: (passthru.overrideAttrs change).${name}; }
            else
              { }
          );
      }) outputs;
      common = drv // listToAttrs perOutput // { all = map (o: o.value) perOutput; } // passthru;
    in
    common
    // {
      drvPath =
        assert condition;
        drv.drvPath;
      outPath =
        assert condition;
        drv.outPath;
    };

  overrideDerivation =
    drv: change:
    let
      changed = derivation (drv.drvAttrs // change drv);
      passthru = drv.passthru or { };
    in
    extendDerivation (seq drv.drvPath true) (
      {
        meta = drv.meta or { };
        inherit passthru;
      }
      // passthru
      // (
        if drv ? __spliced then
          { __spliced = mapAttrs (_: spliced: overrideDerivation spliced change) drv.__spliced; }
        else
          { }
      )
    ) changed;

  # `f args` with `override`, which calls `f` again with some arguments replaced.
  makeOverridable =
    f:
    let
      withFormalsOfF = mirrorFunctionArgs f;
    in
    withFormalsOfF (
      args:
      let
        result = f args;
        override = withFormalsOfF (
          change: makeOverridable f (args // (if isCallable change then change args else change))
        );
        # The same function, followed by a change of its result.
        andThen = g: makeOverridable (withFormalsOfF (args: g (f args))) args;
      in
      if isAttrs result then
        result
        // {
          inherit override;
          overrideDerivation = change: andThen (drv: overrideDerivation drv change);
          ${if result ? overrideAttrs then "overrideAttrs" else null} =
            change: andThen (drv: drv.overrideAttrs change);
        }
      else if isFunction result then
        setFunctionArgs result (formalsOf result) // { inherit override; }
      else
        result
    );

  # The error of a call whose arguments neither the caller nor the package set has. Evaluation must not catch it: a
  # package set with a hole in it would look like one without that package.
  missingArguments =
    caller: fn: available: missing:
    let
      quoted = name: "\"${name}\"";
      near =
        wanted:
        map quoted (
          lib.lists.take 3 (
            sort (a: b: lib.strings.levenshtein wanted a < lib.strings.levenshtein wanted b) (
              filter (lib.strings.levenshteinAtMost 2 wanted) (attrNames available)
            )
          )
        );
      orList =
        names:
        if names == [ ] then
          ""
        else if tail names == [ ] then
          ", did you mean ${head names}?"
        else
          ", did you mean ${concatStringsSep ", " (lib.lists.init names)} or ${lib.lists.last names}?";
      describe =
        name:
        let
          pos = unsafeGetAttrPos name (functionArgs fn);
          at =
            if pos != null then
              "${toString pos.file}:${toString pos.line}"
            else if !isFunction fn && !isAttrs fn then
              toString fn
            else
              "<unknown location>";
        in
        "Function called without required argument ${quoted name} at ${at}${orList (near name)}";
    in
    abort "${caller}: ${concatStringsSep "; " (map describe missing)}";

  callPackageWith =
    available: fn: args:
    let
      f = if isCallable fn then fn else import fn;
      formals = formalsOf f;
      given = intersectAttrs formals available // args;
      missing = filter (name: !formals.${name} && !given ? ${name}) (attrNames formals);
    in
    if missing == [ ] then
      makeOverridable f given
    else
      missingArguments "lib.customisation.callPackageWith" f available missing;

  callPackagesWith =
    available: fn: args:
    let
      f = if isCallable fn then fn else import fn;
      given = intersectAttrs (formalsOf f) available // args;
      set = makeOverridable f given;
      # Each member is overridden on its own.
      member = name: makeOverridable (mirrorFunctionArgs f (newArgs: (f newArgs).${name})) given;
    in
    if isCallable set then
      throw "function `callPackages` was called on a function that returns a function"
    else
      mapAttrs (name: _: member name) (
        removeAttrs set [
          "override"
          "overrideDerivation"
        ]
      );

  # The three axes of cross compilation: where a package is built, runs, and what it makes code for.
  crossNames = {
    buildBuild = "BuildBuild";
    buildHost = "BuildHost";
    buildTarget = "BuildTarget";
    hostHost = "HostHost";
    hostTarget = "HostTarget";
    targetTarget = "TargetTarget";
  };

  makeScope =
    newScope: f:
    let
      self = f self // {
        newScope = extra: newScope (self // extra);
        callPackage = self.newScope { };
        overrideScope = overlay: makeScope newScope (extends overlay f);
        packages = f;
      };
    in
    self;

  makeScopeWithSplicing' =
    {
      splicePackages,
      newScope,
    }:
    {
      otherSplices,
      keep ? (_self: { }),
      extra ? (_spliced: { }),
      f,
    }:
    let
      spliced = splicePackages {
        pkgsBuildBuild = otherSplices.selfBuildBuild;
        pkgsBuildHost = otherSplices.selfBuildHost;
        pkgsBuildTarget = otherSplices.selfBuildTarget;
        pkgsHostHost = otherSplices.selfHostHost;
        pkgsHostTarget = self;
        pkgsTargetTarget = otherSplices.selfTargetTarget;
      };
      visible = extra spliced // spliced // keep self;
      self = f self // {
        newScope = scope: newScope (visible // scope);
        callPackage = newScope visible;
        overrideScope =
          overlay:
          makeScopeWithSplicing' { inherit splicePackages newScope; } {
            inherit otherSplices keep extra;
            f = extends overlay f;
          };
        packages = f;
      };
    in
    self;
in
{
  inherit
    callPackageWith
    callPackagesWith
    extendDerivation
    makeOverridable
    makeScope
    makeScopeWithSplicing'
    overrideDerivation
    ;

  makeScopeWithSplicing =
    splicePackages: newScope: otherSplices: keep: extra: f:
    makeScopeWithSplicing' { inherit splicePackages newScope; } {
      inherit
        otherSplices
        keep
        extra
        f
        ;
    };

  renameCrossIndexFrom = prefix: set: mapAttrs (_: infix: set."${prefix}${infix}") crossNames;
  renameCrossIndexTo =
    prefix: set:
    listToAttrs (
      map (name: {
        name = "${prefix}${crossNames.${name}}";
        value = set.${name};
      }) (attrNames crossNames)
    );
  mapCrossIndex =
    f: set:
    mapAttrs (name: _: f set.${name}) crossNames;

  # A builder on top of another builder: takes its caller's arguments, adds what `extendDrvArgs` computes from them and
  # from the final attributes, and accepts both a set and a function of the final attributes.
  extendMkDerivation =
    let
      extendMkDerivation =
        {
          constructDrv,
          excludeDrvArgNames ? [ ],
          excludeFunctionArgNames ? [ ],
          extendDrvArgs,
          inheritFunctionArgs ? true,
          transformDrv ? (drv: drv),
        }:
        let
          call =
            args:
            transformDrv (
              constructDrv (
                final:
                let
                  own = lib.trivial.toFunction args final;
                in
                removeAttrs own excludeDrvArgNames // extendDrvArgs final own
              )
            );
        in
        setFunctionArgs call (
          removeAttrs (
            (if inheritFunctionArgs then formalsOf constructDrv else { }) // formalsOf (extendDrvArgs { })
          ) excludeFunctionArgNames
        )
        // {
          inherit
            constructDrv
            excludeDrvArgNames
            excludeFunctionArgNames
            extendDrvArgs
            transformDrv
            ;
        };
    in
    extendMkDerivation;

  # What a build service needs of a derivation, so that the rest can be collected.
  hydraJob =
    drv:
    let
      outputs = drv.outputs or [ "out" ];
      slim = {
        inherit (drv) name system meta;
        inherit outputs;
        ${if drv ? _hydraAggregate then "_hydraAggregate" else null} = drv._hydraAggregate;
        ${if drv ? constituents then "constituents" else null} = map lib.customisation.hydraJob drv.constituents;
      };
      makeOutput = name: {
        inherit name;
        value = slim // {
          outPath = drv.${name}.outPath;
          drvPath = drv.${name}.drvPath;
          type = "derivation";
          outputName = name;
        };
      };
      byName = listToAttrs (map makeOutput outputs);
    in
    if drv == null then
      { }
    else
      slim // byName // { inherit (byName.${head outputs}) outPath drvPath type outputName; };
}
