# system.activationScripts: what runs at each boot and switch, after /etc and the users are in place.
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;

  snippet = types.submodule {
    options = {
      deps = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Names of scripts that run before this one.";
      };
      text = mkOption {
        type = types.lines;
        description = "Shell text. It has to be safe to run again, and fast. `$systemConfig` is the system being activated.";
      };
      supportsDryActivation = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the script can also run to say what it would do, with `NIXOS_ACTION=dry-activate`.";
      };
    };
  };

  plainOrSnippet = types.attrsOf (types.either types.str snippet);

  normalise =
    scripts:
    lib.mapAttrs (
      _: script:
      if builtins.isString script then
        {
          text = script;
          deps = [ ];
          supportsDryActivation = false;
        }
      else
        script
    ) scripts;

  # Done by activation itself before any script: names kept for scripts that wait for them.
  provided = [
    "etc"
    "users"
    "groups"
    "hashes"
    "specialfs"
    "stdio"
    "var"
    "wrappers"
  ];

  ordered =
    scripts:
    let
      all = normalise scripts;
      visit =
        state: name:
        if state.done ? ${name} then
          state
        else if builtins.elem name state.open then
          throw "system.activationScripts depend on one another in a circle: ${
            lib.concatStringsSep " → " (state.open ++ [ name ])
          }"
        else if !(all ? ${name}) then
          if builtins.elem name provided then
            state
          else
            throw "system.activationScripts.${lib.last (state.open ++ [ name ])} depends on the script \"${name}\", which does not exist"
        else
          let
            after = lib.foldl' visit (state // { open = state.open ++ [ name ]; }) all.${name}.deps;
          in
          {
            done = after.done // {
              ${name} = true;
            };
            open = state.open;
            list = after.list ++ [ (all.${name} // { inherit name; }) ];
          };
    in
    (lib.foldl' visit {
      done = { };
      open = [ ];
      list = [ ];
    } (builtins.attrNames all)).list;

  path = lib.makeBinPath (
    utils.available [
      "coreutils"
      "gnugrep"
      "findutils"
      "getent"
      "glibc-bin"
      "shadow"
      "util-linux"
      "gnused"
      "nettools"
    ]
  );

  toFile =
    script:
    pkgs.writeScript "activation-${utils.storeName script.name}" ''
      #!${pkgs.runtimeShell}
      export PATH=${path}
      ${script.text}
    '';

  runnable = lib.filter (script: lib.trim script.text != "") (ordered config.system.activationScripts);
in
{
  options.system = {
    activationScripts = mkOption {
      type = plainOrSnippet;
      default = { };
      example = {
        stdio = {
          text = "ln -sfn /proc/self/fd /dev/fd";
          deps = [ ];
        };
      };
      description = "Shell text, by name, that runs whenever the system is activated.";
    };
    userActivationScripts = mkOption {
      type = plainOrSnippet;
      default = { };
      description = "Shell text that runs as each user, at login and at each switch.";
    };
    activationScriptFiles = mkOption {
      type = types.listOf types.attrs;
      internal = true;
      readOnly = true;
      description = "The activation scripts, in order, as files.";
    };
  };

  config = {
    system.activationScriptFiles = map (script: {
      inherit (script) name supportsDryActivation;
      path = "${toFile script}";
    }) runnable;

    system.activationScripts = {
      binsh = ''
        mkdir -m 0755 -p /bin
        ln -sfn ${config.environment.binsh} /bin/.sh.tmp
        mv -f /bin/.sh.tmp /bin/sh
      '';
      usrbinenv =
        if config.environment.usrbinenv != null then
          ''
            mkdir -m 0755 -p /usr/bin
            ln -sfn ${config.environment.usrbinenv} /usr/bin/.env.tmp
            mv -f /usr/bin/.env.tmp /usr/bin/env
          ''
        else
          ''
            rm -f /usr/bin/env
            rmdir --ignore-fail-on-non-empty /usr/bin /usr 2>/dev/null || true
          '';
      # Files and folders that programs expect before systemd-tmpfiles has run.
      var = ''
        mkdir -m 0755 -p /var /var/lib /var/log /var/cache /home
        mkdir -m 0700 -p /root
        mkdir -m 0555 -p /var/empty
        mkdir -m 1777 -p /tmp /var/tmp
        [ -e /var/run ] || ln -sfn /run /var/run
        [ -e /var/lock ] || ln -sfn /run/lock /var/lock
      '';
      # A machine without an identity would be set up as on a first boot, which rewrites units.
      machine-id = ''
        if ! grep -qE '^[0-9a-f]{32}$' /etc/machine-id 2>/dev/null; then
          tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id.tmp
          chmod 0444 /etc/machine-id.tmp
          mv -f /etc/machine-id.tmp /etc/machine-id
        fi
      '';
      # Users' own folders of the store's profiles and roots.
      nix = ''
        mkdir -m 0755 -p /nix/var/nix/profiles /nix/var/nix/gcroots
        mkdir -m 0755 -p /nix/var/nix/profiles/per-user /nix/var/nix/gcroots/per-user
        ln -sfn /run/booted-system /nix/var/nix/gcroots/booted-system
        ln -sfn /run/current-system /nix/var/nix/gcroots/current-system
      '';
      current-system = {
        text = ''
          ln -sfn "$(readlink -f "$systemConfig")" /run/.current-system.tmp
          mv -fT /run/.current-system.tmp /run/current-system
        '';
        deps = [ "nix" ];
      };
    };

    systemd.user.services.nixos-activation = lib.mkIf (config.system.userActivationScripts != { }) {
      description = "Run user-specific activation";
      unitConfig.ConditionUser = "!@system";
      serviceConfig.Type = "oneshot";
      serviceConfig.RemainAfterExit = true;
      wantedBy = [ "default.target" ];
      restartIfChanged = true;
      script = lib.concatMapStrings (script: "${script.text}\n") (
        ordered config.system.userActivationScripts
      );
    };
  };
}
