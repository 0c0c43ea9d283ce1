# The layer of programs in their makers' own binaries.
final: prev:
let
  nodes = final.callPackages ../nodejs { };
in
{
  inherit (nodes) nodejs_14 nodejs_18 nodejs_22;
  nodejs = final.nodejs_22;
  nodejs-slim = final.nodejs;
  nodejs_latest = final.nodejs_22;
}
