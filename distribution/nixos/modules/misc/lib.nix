# config.lib: functions that modules lend to one another.
{ lib, ... }:
{
  options.lib = lib.mkOption {
    type = lib.types.attrsOf lib.types.attrs;
    default = { };
    description = "Functions of modules, for use by other modules.";
  };
}
