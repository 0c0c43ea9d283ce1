# Images for clouds, network boot and virtual machines.
{ bare, nixpkgs, ... }:
let
  image = module: attribute: (bare {
    imports = [ (nixpkgs + "/nixos/modules/${module}") ];
    system.stateVersion = "25.11";
  }).${attribute};
in
{
  netboot = image "installer/netboot/netboot-minimal.nix" "netbootRamdisk";
  kexec = image "installer/netboot/netboot-minimal.nix" "kexecTree";
  vm = image "virtualisation/qemu-vm.nix" "vm";
  container = image "virtualisation/docker-image.nix" "tarball";
}
