# Environments with the tools of one language, for projects that do not describe their own.
{ pkgs }:
let
  shell =
    name: packages:
    pkgs.mkShell {
      inherit name packages;
    };
in
{
  default = shell "development" [
    pkgs.git
    pkgs.pkg-config
  ];
  c = shell "c-development" [
    pkgs.cmake
    pkgs.ninja
    pkgs.pkg-config
  ];
  rust = shell "rust-development" [
    pkgs.cargo
    pkgs.rustc
    pkgs.clippy
    pkgs.rustfmt
    pkgs.pkg-config
  ];
  node = pkgs.mkShellNoCC {
    name = "node-development";
    packages = [ pkgs.nodejs ];
  };
  python = pkgs.mkShellNoCC {
    name = "python-development";
    packages = [
      (pkgs.python3.withPackages (p: [
        p.pip
        p.setuptools
        p.wheel
      ]))
    ];
  };
}
