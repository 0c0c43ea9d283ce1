{
  description = "A C program";

  # the distribution that comes with Firn; `nix flake update` takes over a newer one
  inputs.firn.url = "flake:firn";

  outputs =
    { self, firn }:
    let
      systems = [ "x86_64-linux" ];
      forEach = f: firn.lib.genAttrs systems (system: f firn.legacyPackages.${system});
    in
    {
      packages = forEach (pkgs: {
        default = pkgs.stdenv.mkDerivation {
          pname = "hello";
          version = "0.1.0";
          src = ./.;
          nativeBuildInputs = [ pkgs.pkg-config ];
          buildInputs = [ pkgs.zlib ];
          doCheck = true;
          makeFlags = [ "PREFIX=$(out)" ];
          meta.mainProgram = "hello";
        };
      });

      devShells = forEach (pkgs: {
        default = pkgs.mkShell {
          # what building the program needs, and a debugger's friends
          inputsFrom = [ self.packages.${pkgs.system}.default ];
          packages = [ pkgs.strace ];
        };
      });

      # building runs the tests
      checks = forEach (pkgs: {
        package = self.packages.${pkgs.system}.default;
      });
    };
}
