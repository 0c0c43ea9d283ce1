# A Cargo workspace built with the packages of this repository's distribution. To start a project of your own:
# nix flake init -t firn#rust
{
  description = "Counts words: a Cargo workspace of a program and a library";

  # the distribution in this repository; a project elsewhere writes "flake:firn", the one that comes with Firn
  inputs.firn.url = "path:../../distribution";

  outputs =
    { self, firn }:
    let
      systems = [ "x86_64-linux" ];
      forEach = f: firn.lib.genAttrs systems (system: f firn.legacyPackages.${system});
      inherit (firn) lib;
    in
    {
      packages = forEach (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = "word-count";
          version = "0.1.0";
          # only what the build reads: a change of this file builds nothing anew
          src = lib.fileset.toSource {
            root = ./.;
            fileset = lib.fileset.unions [
              ./Cargo.toml
              ./Cargo.lock
              ./src
              ./words
            ];
          };
          cargoLock.lockFile = ./Cargo.lock;
          # the library's tests too
          cargoTestFlags = [ "--workspace" ];
          meta = {
            description = "Counts the words of a text";
            mainProgram = "word-count";
          };
        };
      });

      apps = forEach (pkgs: {
        # nix run .#this: the words of this very file
        this = {
          type = "app";
          program = lib.getExe (
            pkgs.writeShellApplication {
              name = "count-this";
              runtimeInputs = [ self.packages.${pkgs.system}.default ];
              text = "word-count < ${./flake.nix}";
            }
          );
          meta.description = "Counts the words of this project's flake.nix";
        };
      });

      devShells = forEach (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.cargo
            pkgs.rustc
            pkgs.clippy
            pkgs.rustfmt
          ];
        };
      });

      checks = forEach (pkgs: {
        # building runs the tests
        package = self.packages.${pkgs.system}.default;

        # and the program does what it says
        counts = pkgs.runCommand "word-count-check" { nativeBuildInputs = [ self.packages.${pkgs.system}.default ]; } ''
          [ "$(printf 'one two\nthree two\n' | word-count)" = "4 words, 3 different" ]
          touch $out
        '';
      });
    };
}
