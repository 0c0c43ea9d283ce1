# services.logind: sessions, seats, and what keys and lids do.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.logind;
  render = import ../../../lib/systemd/render.nix { inherit lib; };
  systemd = import ../../../lib/systemd/types.nix { inherit lib; };
  action = types.enum [
    "ignore"
    "poweroff"
    "reboot"
    "halt"
    "kexec"
    "suspend"
    "hibernate"
    "hybrid-sleep"
    "suspend-then-hibernate"
    "lock"
  ];
  # Older option names and the settings they are.
  former = {
    killUserProcesses = {
      key = "KillUserProcesses";
      type = types.bool;
      default = false;
    };
    powerKey = {
      key = "HandlePowerKey";
      type = action;
      default = "poweroff";
    };
    lidSwitch = {
      key = "HandleLidSwitch";
      type = action;
      default = "suspend";
    };
    lidSwitchExternalPower = {
      key = "HandleLidSwitchExternalPower";
      type = action;
      default = cfg.lidSwitch;
    };
    lidSwitchDocked = {
      key = "HandleLidSwitchDocked";
      type = action;
      default = "ignore";
    };
    suspendKey = {
      key = "HandleSuspendKey";
      type = action;
      default = "suspend";
    };
    hibernateKey = {
      key = "HandleHibernateKey";
      type = action;
      default = "hibernate";
    };
    rebootKey = {
      key = "HandleRebootKey";
      type = action;
      default = "reboot";
    };
  };
in
{
  options.services.logind =
    lib.mapAttrs (
      _: each:
      mkOption {
        inherit (each) type default;
        description = "The setting `${each.key}` of {manpage}`logind.conf(5)`.";
      }
    ) former
    // {
      settings.Login = mkOption {
        type = systemd.section;
        default = { };
        description = "Settings of the `[Login]` section of `logind.conf`.";
      };
      extraConfig = mkOption {
        type = types.lines;
        default = "";
        example = "IdleAction=lock";
        description = "Lines for the `[Login]` section of `logind.conf`.";
      };
    };

  config = {
    environment.etc."systemd/logind.conf".text =
      "[Login]\n"
      + render.settings (
        lib.mapAttrs' (name: each: lib.nameValuePair each.key cfg.${name}) former // cfg.settings.Login
      )
      + cfg.extraConfig;

    systemd.services.systemd-logind = {
      wantedBy = [ "multi-user.target" ];
      # A restart would end the sessions.
      restartIfChanged = false;
      reloadTriggers = [ config.environment.etc."systemd/logind.conf".source ];
    };
  };
}
