# time.timeZone, i18n and console: time, language and keyboard.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  zones = "${pkgs.tzdata}/share/zoneinfo";
in
{
  options = {
    time.timeZone = mkOption {
      type = types.nullOr (
        types.addCheck types.str (text: builtins.match "[^ ]*" text != null)
        // {
          description = "null or string without spaces";
        }
      );
      default = null;
      example = "America/New_York";
      description = "The time zone. Null means UTC, and leaves it to `timedatectl` to choose another.";
    };
    time.hardwareClockInLocalTime = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the hardware's clock shows local time.";
    };
    location = {
      latitude = mkOption {
        type = types.float;
        description = "The latitude of the machine.";
      };
      longitude = mkOption {
        type = types.float;
        description = "The longitude of the machine.";
      };
      provider = mkOption {
        type = types.enum [
          "manual"
          "geoclue2"
        ];
        default = "manual";
        description = "Where the position comes from.";
      };
    };

    i18n = {
      defaultLocale = mkOption {
        type = types.str;
        default = "en_US.UTF-8";
        example = "nl_NL.UTF-8";
        description = "The locale of the system: language, number and date formats.";
      };
      defaultCharset = mkOption {
        type = types.str;
        default = "UTF-8";
        description = "The character set of the default locale.";
      };
      extraLocaleSettings = mkOption {
        type = types.attrsOf types.str;
        default = { };
        example = {
          LC_MESSAGES = "en_US.UTF-8";
          LC_TIME = "de_DE.UTF-8";
        };
        description = "Variables that set one category of the locale.";
      };
      extraLocales = mkOption {
        type = types.either (types.listOf types.str) (types.enum [ "all" ]);
        default = [ ];
        description = "Further locales to have.";
      };
      localeCharsets = mkOption {
        type = types.attrsOf types.str;
        default = { };
        description = "Character sets of single categories.";
      };
      supportedLocales = mkOption {
        type = types.listOf types.str;
        default = [
          "C.UTF-8/UTF-8"
          "en_US.UTF-8/UTF-8"
          "${config.i18n.defaultLocale}/UTF-8"
        ];
        defaultText = lib.literalMD "the default locale, en_US and C";
        visible = false;
        description = "The locales to have.";
      };
      glibcLocales = mkOption {
        type = types.nullOr types.path;
        default = pkgs.glibcLocales or null;
        defaultText = lib.literalExpression "pkgs.glibcLocales";
        description = "A package with the locale archive.";
      };
      inputMethod.enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether there is an input method. Accepted; desktops are not available.";
      };
    };

    console = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether virtual consoles are used.";
      };
      font = mkOption {
        type = types.nullOr (types.either types.str types.path);
        default = null;
        example = "LatArCyrHeb-16";
        description = "The font of virtual consoles.";
      };
      keyMap = mkOption {
        type = types.either types.str types.path;
        default = "us";
        example = "fr";
        description = "The keyboard layout of virtual consoles.";
      };
      colors = mkOption {
        type = types.listOf (types.strMatching "[[:xdigit:]]{6}");
        default = [ ];
        description = "The sixteen colors of virtual consoles.";
      };
      packages = mkOption {
        type = types.listOf types.package;
        default = [ ];
        description = "Packages with fonts and layouts.";
      };
      useXkbConfig = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the layout is that of X. Accepted.";
      };
      earlySetup = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the first stage sets font and layout. Accepted.";
      };
    };
  };

  config = {
    environment.sessionVariables = {
      LANG = config.i18n.defaultLocale;
      TZDIR = "/etc/zoneinfo";
    }
    // config.i18n.extraLocaleSettings
    // lib.optionalAttrs (config.i18n.glibcLocales != null) {
      LOCALE_ARCHIVE = "/run/current-system/sw/lib/locale/locale-archive";
    };

    systemd.globalEnvironment = {
      TZDIR = zones;
    }
    // lib.optionalAttrs (config.i18n.glibcLocales != null) {
      LOCALE_ARCHIVE = "${config.i18n.glibcLocales}/lib/locale/locale-archive";
    };
    systemd.managerEnvironment = {
      TZDIR = zones;
    };

    environment.systemPackages = lib.optional (config.i18n.glibcLocales != null) config.i18n.glibcLocales;

    environment.etc = {
      zoneinfo.source = zones;
      "locale.conf".text = ''
        LANG=${config.i18n.defaultLocale}
        ${lib.concatStringsSep "\n" (
          lib.mapAttrsToList (name: value: "${name}=${value}") config.i18n.extraLocaleSettings
        )}
      '';
      "vconsole.conf".text =
        "KEYMAP=${config.console.keyMap}\n"
        + lib.optionalString (config.console.font != null) "FONT=${config.console.font}\n";
    }
    // lib.optionalAttrs (config.time.timeZone != null) {
      # systemd wants to see which zone it is, so this is a link into the zones.
      localtime = {
        source = "/etc/zoneinfo/${config.time.timeZone}";
        mode = "direct-symlink";
      };
    }
    // lib.optionalAttrs config.time.hardwareClockInLocalTime {
      adjtime.text = "0.0 0 0.0\n0\nLOCAL\n";
    };
  };
}
