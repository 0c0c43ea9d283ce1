{
  description = "A Rust program";

  # the distribution that comes with Firn; `nix flake update` takes over a newer one
  inputs.firn.url = "flake:firn";

  outputs =
    { self, firn }:
    let
      systems = [ "x86_64-linux" ];
      forEach = f: firn.lib.genAttrs systems (system: f firn.legacyPackages.${system});
      manifest = builtins.fromTOML (builtins.readFile ./Cargo.toml);
    in
    {
      packages = forEach (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = manifest.package.name;
          inherit (manifest.package) version;
          src = ./.;
          # the crates are fetched by the hashes in it
          cargoLock.lockFile = ./Cargo.lock;
          meta.mainProgram = manifest.package.name;
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

      # building runs the tests
      checks = forEach (pkgs: {
        package = self.packages.${pkgs.system}.default;
      });
    };
}
