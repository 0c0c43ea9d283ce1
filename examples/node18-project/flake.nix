# A project with Node.js 18 and npm, a build step, and packages from package-lock.json. To start a project of your own:
# nix flake init -t firn#node
{
  description = "A small web server on Node.js 18";

  # the distribution in this repository; a project elsewhere writes "flake:firn", the one that comes with Firn
  inputs.firn.url = "path:../../distribution";

  outputs =
    { self, firn }:
    let
      systems = [ "x86_64-linux" ];
      forEach = f: firn.lib.genAttrs systems (system: f firn.legacyPackages.${system});
    in
    {
      packages = forEach (pkgs: {
        default = pkgs.buildNpmPackage {
          pname = "pages";
          version = "0.1.0";
          src = ./.;
          nodejs = pkgs.nodejs_18;
          # each package by the hash that package-lock.json has of it; packages for development are not installed
          npmDeps = pkgs.importNpmLock { npmRoot = ./.; };
          doCheck = true;
          checkPhase = "npm test";
          meta = {
            description = "Serves a folder of pages";
            mainProgram = "pages";
          };
        };
      });

      devShells = forEach (pkgs: {
        # `npm install` and `npm test` work in it
        default = pkgs.mkShellNoCC { packages = [ pkgs.nodejs_18 ]; };
      });

      checks = forEach (pkgs: {
        # building runs the tests
        package = self.packages.${pkgs.system}.default;
      });
    };
}
