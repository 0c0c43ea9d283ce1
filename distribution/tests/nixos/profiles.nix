# Profiles that generated hardware configurations import, and a flake's way to evaluate.
t:
let
  hardware =
    { lib, modulesPath, ... }:
    {
      imports = [
        (modulesPath + "/profiles/qemu-guest.nix")
        (modulesPath + "/profiles/minimal.nix")
        (modulesPath + "/profiles/headless.nix")
        (modulesPath + "/installer/scan/not-detected.nix")
      ];
      nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
      hardware.cpu.intel.updateMicrocode = lib.mkDefault true;
    };
  pure =
    (t.evalConfig {
      system = null;
      modules = [
        t.firn
        t.base
        hardware
        { environment.defaultPackages = [ ]; }
      ];
      specialArgs.inputs = { };
    });
in
{
  evaluates = {
    expr = builtins.match "/nix/store/.*\\.drv" pure.config.system.build.toplevel.drvPath != null;
    expected = true;
  };
  platform = {
    expr = pure.pkgs.stdenv.hostPlatform.system;
    expected = "x86_64-linux";
  };
  guestModules = {
    expr = builtins.elem "virtio_console" pure.config.boot.initrd.kernelModules;
    expected = true;
  };
  overlays = {
    expr =
      (t.evaluate [
        t.base
        { nixpkgs.overlays = [ (final: prev: { marker = "here"; }) ]; }
      ]).pkgs.marker;
    expected = "here";
  };
  extendModules = {
    expr =
      (pure.extendModules { modules = [ { networking.hostName = t.lib.mkForce "other"; } ]; }).config.networking.hostName;
    expected = "other";
  };
}
