{
  description = "A Node.js program";

  # the distribution that comes with Firn; `nix flake update` takes over a newer one
  inputs.firn.url = "flake:firn";

  outputs =
    { self, firn }:
    let
      systems = [ "x86_64-linux" ];
      forEach = f: firn.lib.genAttrs systems (system: f firn.legacyPackages.${system});
      manifest = builtins.fromJSON (builtins.readFile ./package.json);
      # or nodejs_18, nodejs_14
      node = pkgs: pkgs.nodejs_22;
    in
    {
      packages = forEach (pkgs: {
        default = pkgs.buildNpmPackage {
          pname = manifest.name;
          inherit (manifest) version;
          src = ./.;
          nodejs = node pkgs;
          # the packages are fetched by the hashes in package-lock.json
          npmDeps = pkgs.importNpmLock { npmRoot = ./.; };
          dontNpmBuild = true;
          doCheck = true;
          checkPhase = "npm test";
          meta.mainProgram = manifest.name;
        };
      });

      devShells = forEach (pkgs: {
        default = pkgs.mkShellNoCC { packages = [ (node pkgs) ]; };
      });

      # building runs the tests
      checks = forEach (pkgs: {
        package = self.packages.${pkgs.system}.default;
      });
    };
}
