# system.nixos.* and system.stateVersion: what this system calls itself, and which release its data is from.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.system.nixos;
  # the release, with its name if it has one
  fullVersion = cfg.release + lib.optionalString (cfg.codeName != "") " (${cfg.codeName})";
  osRelease = {
    NAME = cfg.distroName;
    ID = cfg.distroId;
    # what works on NixOS works here; programs that ask for it look at this too
    ID_LIKE = if cfg.distroId == "nixos" then "" else "nixos";
    VERSION = fullVersion;
    VERSION_CODENAME = lib.toLower cfg.codeName;
    VERSION_ID = cfg.release;
    BUILD_ID = cfg.version;
    PRETTY_NAME = "${cfg.distroName} ${fullVersion}";
    VARIANT = if cfg.variantName == null then "" else cfg.variantName;
    VARIANT_ID = if cfg.variant_id == null then "" else cfg.variant_id;
    DEFAULT_HOSTNAME = cfg.distroId;
  }
  // cfg.extraOSReleaseArgs;
  shell =
    attributes:
    lib.concatStrings (
      lib.mapAttrsToList (name: value: "${name}=${builtins.toJSON value}\n") (
        lib.filterAttrs (_: value: value != "") attributes
      )
    );
in
{
  imports = [
    (lib.mkRenamedOptionModule [ "system" "nixosVersion" ] [ "system" "nixos" "version" ])
    (lib.mkRenamedOptionModule [ "system" "nixosLabel" ] [ "system" "nixos" "label" ])
  ];

  options.system = {
    stateVersion = mkOption {
      type = types.str;
      default = cfg.release;
      defaultText = lib.literalExpression "config.system.nixos.release";
      description = ''
        The release with which this machine was first installed. Services whose data changed its form since then keep the
        old form; so it stays as it is, also when the machine is brought up to date.
      '';
    };
    configurationRevision = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The revision of the configuration.";
    };
    nixos = {
      version = mkOption {
        type = types.str;
        internal = true;
        default = cfg.release + cfg.versionSuffix;
        description = "The version.";
      };
      release = mkOption {
        type = types.str;
        readOnly = true;
        default = lib.trivial.release or "25.11";
        description = "The release.";
      };
      versionSuffix = mkOption {
        type = types.str;
        internal = true;
        default = "";
        description = "What follows the release in the version.";
      };
      revision = mkOption {
        type = types.nullOr types.str;
        internal = true;
        default = null;
        description = "The revision of the distribution.";
      };
      codeName = mkOption {
        type = types.str;
        readOnly = true;
        # nixpkgs' name of the release, which the library has, is not this distribution's
        default = "";
        description = "The name of the release; it has none.";
      };
      distroId = mkOption {
        type = types.str;
        internal = true;
        default = "firn";
        description = "The identifier of the operating system.";
      };
      distroName = mkOption {
        type = types.str;
        internal = true;
        default = "Firn";
        description = "The name of the operating system.";
      };
      variant_id = mkOption {
        type = types.nullOr (types.strMatching "^[a-z0-9._-]+$");
        default = null;
        example = "installer";
        description = "The identifier of this variant of it.";
      };
      variantName = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "NixOS Installer Image";
        description = "The name of this variant of it.";
      };
      extraOSReleaseArgs = mkOption {
        type = types.attrsOf types.str;
        internal = true;
        default = { };
        description = "More entries for `os-release`.";
      };
      label = mkOption {
        type = types.strMatching "[a-zA-Z0-9:_\\.-]*";
        default =
          let
            tags = lib.sort (a: b: a < b) cfg.tags;
            label = builtins.getEnv "NIXOS_LABEL";
            version = builtins.getEnv "NIXOS_LABEL_VERSION";
          in
          if label != "" then
            label
          else
            lib.concatStringsSep "-" (tags ++ [ (if version != "" then version else cfg.version) ]);
        defaultText = lib.literalMD "the tags and the version, or what NIXOS_LABEL says";
        description = "A name for this system, shown in the boot menu.";
      };
      tags = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "with-xen" ];
        description = "Words for the label.";
      };
    };
  };

  config = {
    environment.etc.os-release.text = shell osRelease;
    # by this file programs tell that a system is made from a configuration
    environment.etc.NIXOS.text = "";
    environment.etc.lsb-release.text = shell {
      LSB_VERSION = fullVersion;
      DISTRIB_ID = cfg.distroId;
      DISTRIB_RELEASE = cfg.release;
      DISTRIB_CODENAME = lib.toLower cfg.codeName;
      DISTRIB_DESCRIPTION = "${cfg.distroName} ${fullVersion}";
    };

    warnings = lib.optional (
      options.system.stateVersion.highestPrio == (lib.mkOptionDefault { }).priority && !config.boot.isContainer
    ) "system.stateVersion is not set, defaulting to ${config.system.stateVersion}. Set it to the release that this machine was first installed with.";
  };
}
