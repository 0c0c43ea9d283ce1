# The system as a whole: its activation record, scripts in order, variants, and what the same configuration gives twice.
t:
let
  module = {
    system.activationScripts.mine = {
      deps = [ "users" ];
      text = "echo mine";
    };
    system.activationScripts.after = {
      deps = [ "mine" ];
      text = "echo after";
    };
    specialisation.quiet.configuration.services.nginx.enable = t.lib.mkForce false;
    services.nginx.enable = true;
  };
  config = t.machine module;
  names = map (each: each.name) config.system.activationScriptFiles;
  indexOf = name: t.lib.lists.findFirstIndex (each: each == name) null names;
  activation = builtins.fromJSON (
    builtins.unsafeDiscardStringContext config.system.build.toplevel.activation
  );
  container = t.machine { boot.isContainer = true; };
in
{
  record = {
    expr = builtins.attrNames activation;
    expected = [
      "etc"
      "groups"
      "hostName"
      "mutableUsers"
      "scripts"
      "unitDir"
      "users"
      "version"
    ];
  };
  recordVersion = {
    expr = [
      activation.version
      activation.hostName
      activation.mutableUsers
    ];
    expected = [
      1
      "machine"
      true
    ];
  };
  unitFolder = {
    expr = t.lib.hasSuffix "-system-units" activation.unitDir;
    expected = true;
  };
  scriptsFollowTheirDependencies = {
    expr = indexOf "mine" < indexOf "after";
    expected = true;
  };
  scriptsInACircleAreAnError = {
    expr = t.fails (
      (t.machine {
        system.activationScripts.a = {
          deps = [ "b" ];
          text = "true";
        };
        system.activationScripts.b = {
          deps = [ "a" ];
          text = "true";
        };
      }).system.activationScriptFiles
    );
    expected = true;
  };
  missingScriptsAreAnError = {
    expr = t.fails (
      (t.machine {
        system.activationScripts.a = {
          deps = [ "nothere" ];
          text = "true";
        };
      }).system.activationScriptFiles
    );
    expected = true;
  };
  variant = {
    expr = [
      config.services.nginx.enable
      config.specialisation.quiet.configuration.services.nginx.enable
    ];
    expected = [
      true
      false
    ];
  };
  containersHaveNoKernel = {
    expr = [
      (t.has "$out/kernel-modules" container.system.build.toplevel.buildCommand)
      container.boot.initrd.enable
      container.boot.loader.grub.enable
    ];
    expected = [
      false
      false
      false
    ];
  };
  containersNeedNoRoot = {
    expr =
      map (each: each.message) (
        builtins.filter (each: !each.assertion)
          (t.evaluate [
            {
              boot.isContainer = true;
              system.stateVersion = "25.11";
            }
          ]).config.assertions
      );
    expected = [ ];
  };
  deterministic = {
    expr = config.system.build.toplevel.drvPath == (t.machine module).system.build.toplevel.drvPath;
    expected = true;
  };
  # Programs that ask whether this is NixOS look for the file, or for the ID or what it is like.
  nameOfTheDistribution = {
    expr =
      let
        release = t.etc config "os-release";
      in
      map (t.line release) [
        "NAME=\"Firn\""
        "ID=\"firn\""
        "ID_LIKE=\"nixos\""
        "PRETTY_NAME=\"Firn ${config.system.nixos.release}\""
      ]
      ++ [
        (t.has t.lib.trivial.codeName (release + t.etc config "lsb-release"))
        (config.environment.etc ? NIXOS)
        (t.has "ID_LIKE" (t.etc (t.machine { system.nixos.distroId = "nixos"; }) "os-release"))
        (t.line (t.etc (t.machine { system.nixos.variant_id = "trial"; }) "os-release") "VARIANT_ID=\"trial\"")
      ];
    expected = [
      true
      true
      true
      true
      false
      true
      false
      true
    ];
  };
  trialMachine = {
    expr =
      let
        trial = module: t.machine { imports = [ module ../../nixos/modules/virtualisation/trial-vm.nix ]; };
        kernel = module: (trial module).boot.kernelPackages.kernel.pname;
      in
      [
        (kernel { })
        (kernel ({ pkgs, ... }: { boot.kernelPackages = pkgs.linuxPackages; }))
        (t.has "/bin/mkfs.ext4" (toString (trial { }).boot.kernelParams))
      ];
    expected = [
      "linux-cloud"
      "linux"
      true
    ];
  };
  nameOfTheSystem = {
    expr = t.lib.hasPrefix "nixos-system-machine-" config.system.build.toplevel.name;
    expected = true;
  };
  virtualMachine = {
    expr =
      let
        vm =
          (t.machine {
            virtualisation.vmVariant.virtualisation = {
              memorySize = 512;
              forwardPorts = [
                {
                  host.port = 8080;
                  guest.port = 80;
                }
              ];
            };
          }).virtualisation.vmVariant;
      in
      [
        vm.virtualisation.memorySize
        (builtins.head vm.virtualisation.forwardPorts).host.port
        vm.boot.loader.grub.enable
      ];
    expected = [
      512
      8080
      false
    ];
  };
}
