{
  config = import ./does-not-exist.nix { };
}.config
