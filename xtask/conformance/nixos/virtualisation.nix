# A host of virtual machines.
{ machine, pkgs, ... }:
machine {
  virtualisation.libvirtd = {
    enable = true;
    qemu.swtpm.enable = true;
  };
  programs.virt-manager.enable = true;
  boot.kernelModules = [ "kvm-amd" ];
  boot.kernelParams = [ "amd_iommu=on" ];
  networking.bridges.br0.interfaces = [ "enp1s0" ];
  environment.systemPackages = [ pkgs.qemu_kvm ];
}
