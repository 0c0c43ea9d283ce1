# A project that still needs Node.js 14, with the package-lock.json of its npm 6.
{
  description = "A program for Node.js 14";

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
          pname = "colours";
          version = "0.1.0";
          src = ./.;
          nodejs = pkgs.nodejs_14;
          npmDeps = pkgs.importNpmLock { npmRoot = ./.; };
          # there is nothing to build
          dontNpmBuild = true;
          doCheck = true;
          checkPhase = "npm test";
          meta = {
            description = "Says the names of colours in colour";
            mainProgram = "colours";
          };
        };
      });

      devShells = forEach (pkgs: {
        default = pkgs.mkShellNoCC { packages = [ pkgs.nodejs_14 ]; };
      });

      checks = forEach (pkgs: {
        # building runs the tests
        package = self.packages.${pkgs.system}.default;
      });
    };
}
