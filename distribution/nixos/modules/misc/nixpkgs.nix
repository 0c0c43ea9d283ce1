# nixpkgs.*: which packages the configuration is built from, and the `pkgs` argument of every module.
{
  config,
  options,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.nixpkgs;

  # Configurations from several modules are joined, attribute set by attribute set.
  packageConfig = lib.mkOptionType {
    name = "nixpkgs-config";
    description = "nixpkgs config";
    check = builtins.isAttrs;
    merge = _: definitions: lib.foldl' (all: one: lib.recursiveUpdate all one.value) { } definitions;
  };

  overlay = lib.mkOptionType {
    name = "nixpkgs-overlay";
    description = "nixpkgs overlay";
    check = builtins.isFunction;
    merge = lib.mergeOneOption;
  };

  platform = types.either types.str types.attrs;
  nameOf = value: if builtins.isString value then value else value.system;

  made = import ../../../default.nix {
    system = cfg.system;
    inherit (cfg) config overlays;
  };

  packages =
    if options.nixpkgs.pkgs.isDefined then
      if cfg.overlays == [ ] then cfg.pkgs else cfg.pkgs.appendOverlays cfg.overlays
    else
      made;
in
{
  options.nixpkgs = {
    pkgs = mkOption {
      type = types.raw;
      example = lib.literalExpression "import <nixpkgs> { }";
      description = "A finished package set to use. The other options of this group, overlays excepted, then have no effect.";
    };
    config = mkOption {
      type = packageConfig;
      default = { };
      example = {
        allowUnfree = true;
      };
      description = "The configuration that the package set is made with.";
    };
    overlays = mkOption {
      type = types.listOf overlay;
      default = [ ];
      example = lib.literalExpression "[ (final: prev: { hello = prev.hello.overrideAttrs { doCheck = false; }; }) ]";
      description = "Functions that change or extend the package set, applied in order.";
    };
    hostPlatform = mkOption {
      type = platform;
      example = "x86_64-linux";
      description = "The platform that the system runs on.";
    };
    buildPlatform = mkOption {
      type = platform;
      default = cfg.hostPlatform;
      defaultText = lib.literalExpression "config.nixpkgs.hostPlatform";
      description = "The platform that the system is built on. It has to be the host platform.";
    };
    system = mkOption {
      type = types.str;
      default = if options.nixpkgs.hostPlatform.isDefined then nameOf cfg.hostPlatform else builtins.currentSystem;
      defaultText = lib.literalMD "the current system";
      description = "The system type of the host, where {option}`nixpkgs.hostPlatform` does not say it.";
    };
    flake = {
      source = mkOption {
        type = types.nullOr (types.either types.str types.path);
        default = null;
        description = "Where the package set came from, when it came from a flake.";
      };
      setNixPath = mkOption {
        type = types.bool;
        default = cfg.flake.source != null;
        defaultText = lib.literalExpression "config.nixpkgs.flake.source != null";
        description = "Whether `<nixpkgs>` on the machine means this package set.";
      };
      setFlakeRegistry = mkOption {
        type = types.bool;
        default = cfg.flake.source != null;
        defaultText = lib.literalExpression "config.nixpkgs.flake.source != null";
        description = "Whether the flake `nixpkgs` on the machine means this package set.";
      };
    };
  };

  config = {
    # The platform decides over the default of the command that evaluates.
    nixpkgs.system = lib.mkIf options.nixpkgs.hostPlatform.isDefined (
      lib.mkOverride 900 (nameOf cfg.hostPlatform)
    );
    _module.args.pkgs = packages.__splicedPackages or packages;

    assertions = [
      {
        assertion =
          !options.nixpkgs.hostPlatform.isDefined || nameOf cfg.buildPlatform == nameOf cfg.hostPlatform;
        message = "nixpkgs.buildPlatform differs from nixpkgs.hostPlatform, but packages cannot be built for another platform here.";
      }
    ];
  };
}
