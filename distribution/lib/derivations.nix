# Derivations whose evaluation is put off, guarded or annotated.
{ lib }:
let
  inherit (builtins)
    filter
    head
    listToAttrs
    map
    throw
    ;
in
{
  inherit (builtins) addDrvOutputDependencies unsafeDiscardOutputDependency;

  # The shape of a derivation is known without computing it; only its paths and names are.
  lazyDerivation =
    {
      derivation,
      meta ? null,
      passthru ? { },
      outputs ? [ "out" ],
    }@args:
    let
      checked =
        if derivation.type or null != "derivation" then
          throw "lazyDerivation: input must be a derivation."
        else if derivation.outputs != outputs then
          throw ''
            lib.lazyDerivation: The derivation ${derivation.name or "<unknown>"} has outputs that don't match the assumed outputs.

            Assumed outputs passed to lazyDerivation${if args ? outputs then "" else " (default)"}:
                ${lib.generators.toPretty { multiline = false; } outputs}

            Actual outputs of the derivation:
                ${lib.generators.toPretty { multiline = false; } derivation.outputs}

            Pass the outputs that the derivation really has, in the same order, as the argument `outputs`. Where they
            cannot be known beforehand, use the derivation itself.
          ''
        else
          derivation;
    in
    {
      type = "derivation";
      inherit (checked)
        outPath
        outputName
        drvPath
        name
        system
        ;
      inherit outputs;
      # The caller's, where it knows it without evaluating the derivation.
      meta = args.meta or checked.meta;
    }
    // listToAttrs (
      map (name: {
        inherit name;
        value = checked.${name};
      }) outputs
    )
    // passthru;

  # An attribute that is no part of the derivation unless the condition holds.
  optionalDrvAttr = cond: value: if cond then value else null;

  # The warning appears when the derivation is needed, not when it is looked at.
  warnOnInstantiate =
    message: drv:
    let
      outputs = drv.outputs or [ "out" ];
      guarded = filter (name: drv ? ${name}) ([ "drvPath" ] ++ outputs);
    in
    drv
    // listToAttrs (
      map (name: {
        inherit name;
        value = lib.trivial.warn message drv.${name};
      }) guarded
    );
}
