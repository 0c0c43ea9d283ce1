{
  description = "A Python program";

  # the distribution that comes with Firn; `nix flake update` takes over a newer one
  inputs.firn.url = "flake:firn";

  outputs =
    { self, firn }:
    let
      systems = [ "x86_64-linux" ];
      forEach = f: firn.lib.genAttrs systems (system: f firn.legacyPackages.${system});
      manifest = builtins.fromTOML (builtins.readFile ./pyproject.toml);
    in
    {
      packages = forEach (pkgs: {
        default = pkgs.python3Packages.buildPythonApplication {
          pname = manifest.project.name;
          inherit (manifest.project) version;
          pyproject = true;
          src = ./.;
          build-system = [
            pkgs.python3Packages.setuptools
            pkgs.python3Packages.wheel
          ];
          pythonImportsCheck = [ "hello" ];
          meta.mainProgram = "hello";
        };
      });

      devShells = forEach (pkgs: {
        default = pkgs.mkShellNoCC {
          packages = [ pkgs.python3 ];
          # the project's modules are found without installing them
          shellHook = "export PYTHONPATH=$PWD/src\${PYTHONPATH:+:$PYTHONPATH}";
        };
      });

      # building runs the tests
      checks = forEach (pkgs: {
        package = self.packages.${pkgs.system}.default;
      });
    };
}
