# What builds npm projects: their packages from a package-lock.json, and the project itself, with nixpkgs' names.
{ lib, final }:
let
  importNpmLock = import ./import-npm-lock.nix { inherit lib final; };
in
{
  inherit importNpmLock;
  fetchNpmDeps = import ./fetch-npm-deps.nix { inherit lib final; };
  npmHooks = import ./hooks.nix { inherit final; };
  buildNpmPackage = lib.makeOverridable (
    {
      nodejs ? final.nodejs,
      stdenv ? final.stdenv,
    }:
    import ./build-npm-package.nix {
      inherit
        lib
        final
        nodejs
        stdenv
        ;
    }
  ) { };
}
