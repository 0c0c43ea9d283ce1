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
