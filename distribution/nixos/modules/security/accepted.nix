# security.* options that configurations name and that have nothing to act on here: false is fine, true is said to be so.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  bool =
    description:
    mkOption {
      type = types.bool;
      default = false;
      inherit description;
    };
  wanted = {
    "security.polkit.enable" = config.security.polkit.enable;
    "security.rtkit.enable" = config.security.rtkit.enable;
    "security.apparmor.enable" = config.security.apparmor.enable;
    "security.auditd.enable" = config.security.auditd.enable;
  };
in
{
  options.security = {
    polkit.enable = bool "Whether unprivileged programs can ask for privileged actions. Not available yet.";
    polkit.extraConfig = mkOption {
      type = types.lines;
      default = "";
      description = "Rules of polkit. Not available yet.";
    };
    rtkit.enable = bool "Whether programs can ask for real-time scheduling. Not available yet.";
    apparmor.enable = bool "Whether AppArmor confines programs. Not available yet.";
    auditd.enable = bool "Whether the audit daemon runs. Not available yet.";
    audit.enable = mkOption {
      type = types.either types.bool (types.enum [ "lock" ]);
      default = false;
      description = "Whether the kernel audits.";
    };
    protectKernelImage = bool "Whether the running kernel cannot be replaced.";
    lockKernelModules = bool "Whether no kernel modules can be loaded once the system is up. Accepted.";
    acme = {
      acceptTerms = bool "Whether the terms of the certificate authority are accepted.";
      defaults = mkOption {
        type = types.attrsOf types.anything;
        default = { };
        description = "Settings of all certificates.";
      };
      certs = mkOption {
        type = types.attrsOf types.anything;
        default = { };
        description = "Certificates to fetch by ACME. Not available yet.";
      };
    };
  };

  config = {
    boot.kernel.sysctl."kernel.kexec_load_disabled" = lib.mkIf config.security.protectKernelImage (lib.mkDefault true);
    boot.kernelParams = lib.mkIf config.security.protectKernelImage [ "nohibernate" ];
    warnings = lib.concatLists (
      lib.mapAttrsToList (
        name: on: lib.optional on "${name} is set, but has no effect: it is not available yet."
      ) wanted
    );
    assertions = [
      {
        assertion = config.security.acme.certs == { };
        message = "security.acme.certs is set, but certificates cannot be fetched by ACME yet.";
      }
    ];
  };
}
