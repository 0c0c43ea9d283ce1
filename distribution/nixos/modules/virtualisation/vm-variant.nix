# virtualisation.vmVariant: the configuration as it is when tried in a virtual machine.
{
  config,
  lib,
  extendModules,
  ...
}:
let
  inherit (lib) mkOption;
  variant = extendModules { modules = [ ./qemu-vm.nix ]; };
in
{
  options.virtualisation.vmVariant = mkOption {
    description = "What is different when the configuration is tried in a virtual machine.";
    inherit (variant) type;
    default = { };
    visible = "shallow";
  };
  options.virtualisation.vmVariantWithBootLoader = mkOption {
    description = "As {option}`virtualisation.vmVariant`, with the boot loader.";
    inherit (variant) type;
    default = { };
    visible = "shallow";
  };

  config.system.build = {
    vm = lib.mkDefault config.virtualisation.vmVariant.system.build.vm;
    vmWithBootLoader = lib.mkDefault config.virtualisation.vmVariantWithBootLoader.system.build.vm;
  };
}
