# The package set's settings with their defaults filled in; unknown ones are kept, since packages may read their own.
{ lib }:
given:
let
  ask = name: builtins.getEnv name == "1";
in
{
  allowUnfree = ask "NIXPKGS_ALLOW_UNFREE";
  allowBroken = ask "NIXPKGS_ALLOW_BROKEN";
  allowInsecure = ask "NIXPKGS_ALLOW_INSECURE";
  allowUnsupportedSystem = ask "NIXPKGS_ALLOW_UNSUPPORTED_SYSTEM";
  allowAliases = true;
  allowUnfreePredicate = _: false;
  allowInsecurePredicate = _: false;
  permittedInsecurePackages = [ ];
  allowlistedLicenses = [ ];
  blocklistedLicenses = [ ];
  packageOverrides = null;
  doCheckByDefault = false;
  enableParallelBuildingByDefault = false;
}
// given
