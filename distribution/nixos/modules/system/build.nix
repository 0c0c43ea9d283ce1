# system.build: whatever can be built from a configuration.
{ lib, ... }:
{
  options.system.build = lib.mkOption {
    default = { };
    description = "What can be built from the configuration, such as `toplevel` and `vm`.";
    type = lib.types.submoduleWith {
      modules = [
        {
          freeformType = lib.types.lazyAttrsOf lib.types.unspecified;
        }
      ];
    };
  };
}
