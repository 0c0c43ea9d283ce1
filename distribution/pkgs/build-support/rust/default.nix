# What builds Rust projects: `rustPlatform`, made of a compiler and a Cargo, with nixpkgs' names.
{ lib, final }:
let
  make =
    {
      cargo,
      rustc,
      stdenv ? final.stdenv,
      ...
    }:
    let
      hooks = import ./hooks.nix {
        inherit
          lib
          final
          cargo
          rustc
          ;
      };
      vendor = import ./vendor.nix {
        inherit
          lib
          final
          cargo
          rustc
          ;
      };
    in
    hooks
    // vendor
    // {
      buildRustPackage = lib.makeOverridable (
        import ./build-rust-package.nix {
          inherit
            lib
            cargo
            rustc
            hooks
            vendor
            ;
        } stdenv
      );
      rust = {
        inherit cargo rustc;
      };
    };
in
{
  makeRustPlatform = make;
  rustPlatform = make { inherit (final) cargo rustc; };
}
