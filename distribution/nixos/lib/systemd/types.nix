# The types of systemd's settings: a value, a section, and names of units.
{ lib }:
let
  inherit (lib) types;

  isScalar =
    value:
    value == null
    || builtins.isBool value
    || builtins.isInt value
    || builtins.isFloat value
    || builtins.isString value
    || builtins.isPath value
    || lib.isDerivation value;
in
rec {
  # A setting. Several definitions of one setting must agree, unless one of them is a list: then all are joined.
  setting = lib.mkOptionType {
    name = "systemd option";
    description = "systemd setting (boolean, number, string, path, package, or a list of these)";
    descriptionClass = "noun";
    check = value: isScalar value || (builtins.isList value && lib.all isScalar value);
    merge =
      location: definitions:
      let
        present = map (definition: definition.value) definitions;
      in
      if lib.any builtins.isList present then
        lib.concatMap lib.toList present
      else
        lib.mergeEqualOption location definitions;
  };

  section = types.attrsOf setting;

  unitName = types.strMatching "[a-zA-Z0-9@%:_.\\-]+[.](service|socket|device|mount|automount|swap|target|path|timer|scope|slice)";
}
