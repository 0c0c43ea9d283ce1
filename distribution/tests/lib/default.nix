# All tests of the library: evaluates to [ ] when every one of them passes, and to the failures otherwise.
#
#   nix-instantiate --eval --strict --expr 'import ./distribution/tests/lib { }'
{
  lib ? import ../../lib,
  # Only these areas.
  areas ? [
    "trivial"
    "lists"
    "attrsets"
    "strings"
    "packages"
    "systems"
    "files"
    "generators"
    "modules"
  ],
}:
builtins.concatMap (
  area: map (failure: failure // { inherit area; }) (lib.runTests (import (./. + "/${area}.nix") { inherit lib; }))
) areas
