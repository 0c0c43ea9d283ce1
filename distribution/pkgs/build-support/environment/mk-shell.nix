# mkShell: a development environment as a derivation. `nix-shell` and `nix develop` enter it; building it records what it
# depends on, so that a garbage collector root of it keeps the environment.
{ lib }:
stdenv:
{
  name ? "nix-shell",
  # programs to have in PATH
  packages ? [ ],
  # other derivations whose build environment is joined in
  inputsFrom ? [ ],
  buildInputs ? [ ],
  nativeBuildInputs ? [ ],
  propagatedBuildInputs ? [ ],
  propagatedNativeBuildInputs ? [ ],
  ...
}@attrs:
let
  # not the derivations of inputsFrom themselves, if one is an input of another
  merge =
    kind:
    attrs.${kind} or [ ]
    ++ lib.subtractLists inputsFrom (lib.flatten (map (drv: drv.${kind} or [ ]) inputsFrom));
  rest = removeAttrs attrs [
    "name"
    "packages"
    "inputsFrom"
    "buildInputs"
    "nativeBuildInputs"
    "propagatedBuildInputs"
    "propagatedNativeBuildInputs"
    "shellHook"
  ];
in
stdenv.mkDerivation (
  {
    inherit name;
    buildInputs = merge "buildInputs";
    nativeBuildInputs = packages ++ merge "nativeBuildInputs";
    propagatedBuildInputs = merge "propagatedBuildInputs";
    propagatedNativeBuildInputs = merge "propagatedNativeBuildInputs";
    shellHook = lib.concatStringsSep "\n" (
      lib.filter (hook: hook != "") (
        map (drv: drv.shellHook or "") (lib.reverseList inputsFrom ++ [ attrs ])
      )
    );
    phases = [ "buildPhase" ];
    buildPhase = ''
      {
        echo "------------------------------------------------------------"
        echo " A record of a development environment, made by mkShell."
        echo "------------------------------------------------------------"
        echo
        # the environment, so that the path refers to all of it
        export
      } >> "$out"
    '';
    preferLocalBuild = true;
  }
  // rest
)
