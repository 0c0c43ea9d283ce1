# What `nix flake init -t firn#NAME` starts a project with.
let
  welcome = command: ''
    - `nix develop` opens a shell with the tools; in it, `${command}` works
    - `nix run` builds the program and runs it; `nix build` makes `result`
    - `nix flake check` builds it and runs its tests
    In a Git repository, `git add` new files first: others are not seen.
  '';
in
rec {
  default = rust;
  rust = {
    path = ./rust;
    description = "A Rust program, built with Cargo from its lock file";
    welcomeText = welcome "cargo run";
  };
  node = {
    path = ./node;
    description = "A Node.js program with packages from npm";
    welcomeText = welcome "npm test";
  };
  python = {
    path = ./python;
    description = "A Python program with a pyproject.toml";
    welcomeText = welcome "python -m hello";
  };
  c = {
    path = ./c;
    description = "A C program with a Makefile";
    welcomeText = welcome "make";
  };
  system = {
    path = ./system;
    description = "The configuration of one machine";
    welcomeText = ''
      - `nix build .#nixosConfigurations.machine.config.system.build.toplevel` builds the system
      - `nix flake check` evaluates it and tells of mistakes
      Its settings are in `configuration.nix`; what it can set is what NixOS calls options.
    '';
  };
  fleet = {
    path = ./fleet;
    description = "Several machines that share most of their configuration";
    welcomeText = ''
      - `nix flake show` lists the machines; each file in `machines/` is one
      - `nix build .#web` builds the system of one, `nix flake check` evaluates all
    '';
  };
}
