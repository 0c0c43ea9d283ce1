# meta.*: what modules say of themselves.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.meta = {
    maintainers = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
      internal = true;
      description = "Who looks after the module.";
    };
    teams = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
      internal = true;
      description = "The teams that look after the module.";
    };
    doc = mkOption {
      type = types.nullOr types.path;
      default = null;
      internal = true;
      description = "A chapter of documentation that goes with the module.";
    };
    buildDocsInSandbox = mkOption {
      type = types.bool;
      default = true;
      internal = true;
      description = "Whether the module's options can be documented without evaluating it here. Accepted.";
    };
  };
}
