# The package set's fixed point: the layers of the distribution, then the settings' packageOverrides, then the caller's
# overlays. Each layer is an overlay (final: prev: { … }) in a file of its own; none knows which come after it.
{
  lib,
  system,
  config,
  overlays,
  firnBinary,
}@args:
let
  platform = import ../stdenv/platform.nix { inherit lib system; };

  # config may be a set, a function of the package set, or a file holding either
  configIn =
    let
      given = if builtins.isPath config || builtins.isString config then import config else config;
    in
    if builtins.isFunction given then given { inherit pkgs lib; } else given;

  settings = import ./config.nix { inherit lib; } configIn;

  layers = [
    (import ./stage.nix {
      inherit
        lib
        args
        platform
        settings
        ;
    })
    (import ../debian/layer.nix)
    (import ../stdenv/layer.nix)
    (import ../build-support/layer.nix)
    (import ./system-packages.nix)
    (import ./development-packages.nix)
    (import ./upstream-packages.nix)
    (import ./source-packages.nix)
    (import ./kernel-packages.nix)
    (import ./aliases.nix)
    (
      final: prev:
      if settings.packageOverrides or null == null then { } else settings.packageOverrides prev
    )
  ]
  ++ overlays;

  compose =
    final:
    builtins.foldl' (
      prev: layer:
      let
        made = layer final prev;
        # an overlay may also be written as a plain function of `final`, or be a plain set
        result = if builtins.isFunction made then made prev else made;
      in
      prev // result
    ) { } layers;

  pkgs = compose pkgs;
in
if !builtins.isList overlays then
  throw "the argument `overlays` to the package set must be a list of functions (final: prev: { … }), but it is a ${builtins.typeOf overlays}"
else
  pkgs
