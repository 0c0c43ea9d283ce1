# specialisation: variants of the system, built along with it, that can be chosen at boot or switched to.
{
  config,
  lib,
  extendModules,
  noUserModules,
  ...
}:
let
  inherit (lib) mkOption types;
in
{

  options.specialisation = mkOption {
    default = { };
    example = lib.literalExpression ''{ quiet.configuration.services.nginx.enable = lib.mkForce false; }'';
    description = "Variants of the configuration by name.";
    type = types.attrsOf (
      types.submodule (
        { config, ... }:
        let
          base = if config.inheritParentConfig then extendModules else noUserModules.extendModules;
          variant = base {
            modules = [
              { specialisation = lib.mkOverride 0 { }; }
            ];
          };
        in
        {
          options = {
            inheritParentConfig = mkOption {
              type = types.bool;
              default = true;
              description = "Whether the variant has the configuration around it too.";
            };
            configuration = mkOption {
              default = { };
              inherit (variant) type;
              visible = "shallow";
              description = "What the variant has besides.";
            };
          };
        }
      )
    );
  };
}
