# Locked down, with unattended upgrades off and auditing on.
{ machine, nixpkgs, ... }:
machine {
  imports = [ (nixpkgs + "/nixos/modules/profiles/headless.nix") ];
  security.auditd.enable = true;
  security.audit.enable = true;
  security.apparmor.enable = true;
  security.sudo.enable = false;
  security.doas.enable = true;
  security.protectKernelImage = true;
  services.usbguard.enable = true;
  users.mutableUsers = false;
  users.users.root.hashedPassword = "!";
  users.users.admin = {
    isNormalUser = true;
    extraGroups = [ "wheel" ];
    hashedPassword = "$6$salt$hash";
  };
  nix.settings.allowed-users = [ "@wheel" ];
}
