# Files below /etc, variables, shells, PAM and wrappers.
t:
let
  config = t.machine (
    { pkgs, ... }:
    {
      environment.etc."app/plain".text = "plain";
      environment.etc."app/secret" = {
        text = "secret";
        mode = "0440";
        user = "nobody";
      };
      environment.etc."off" = {
        enable = false;
        text = "off";
      };
      environment.etc.renamed = {
        target = "other/name";
        text = "x";
      };
      environment.variables.GREETING = "hello";
      environment.variables.SEARCH = [
        "/a"
        "/b"
      ];
      environment.variables.EDITOR = "vim";
      environment.shellAliases.gs = "git status";
      environment.shellAliases.ll = null;
      programs.git = {
        enable = true;
        config.init.defaultBranch = "main";
        config.url."https://example.org/".insteadOf = [ "ex:" ];
      };
      security.sudo.wheelNeedsPassword = false;
      users.motd = "Welcome.";
      time.timeZone = "Europe/Berlin";
      i18n.defaultLocale = "de_DE.UTF-8";
    }
  );
  entry = target: t.lib.findFirst (each: each.target == target) null config.system.etc.specification;
  without = each: removeAttrs each [ "source" ];
  sudoers = config.security.sudo.configFile;
in
{
  link = {
    expr = without (entry "app/plain");
    expected = {
      target = "app/plain";
      mode = "symlink";
      user = "root";
      group = "root";
    };
  };
  copy = {
    expr = without (entry "app/secret");
    expected = {
      target = "app/secret";
      mode = "0440";
      user = "nobody";
      group = "root";
    };
  };
  disabled = {
    expr = entry "off";
    expected = null;
  };
  renamed = {
    expr = entry "other/name" != null && entry "renamed" == null;
    expected = true;
  };
  textNeedsNoBuild = {
    expr = builtins.attrValues (builtins.getContext (entry "app/plain").source);
    expected = [ { path = true; } ];
  };
  listsAreJoined = {
    expr = config.environment.variables.SEARCH;
    expected = "/a:/b";
  };
  defaultsGiveWay = {
    expr = config.environment.variables.EDITOR;
    expected = "vim";
  };
  aliases = {
    expr = [
      (t.line (t.etc config "bashrc") "alias -- gs='git status'")
      (t.has "alias -- ll=" (t.etc config "bashrc"))
    ];
    expected = [
      true
      false
    ];
  };
  gitConfig = {
    expr = t.etc config "gitconfig";
    expected = "[init]\n\tdefaultBranch = \"main\"\n[url \"https://example.org/\"]\n\tinsteadOf = \"ex:\"\n";
  };
  sudo = {
    expr = [
      (t.has "%wheel ALL=(ALL:ALL) SETENV: NOPASSWD: ALL" sudoers)
      (t.has "root ALL=(ALL:ALL) SETENV: ALL" sudoers)
      config.security.wrappers.sudo.setuid
    ];
    expected = [
      true
      true
      true
    ];
  };
  motd = {
    expr = [
      (t.etc config "motd")
      (t.has "pam_motd.so motd=/etc/motd" (t.etc config "pam.d/login"))
    ];
    expected = [
      "Welcome."
      true
    ];
  };
  pamModulesAreStorePaths = {
    expr = builtins.match ".*\nauth sufficient /nix/store/[^ ]*/lib/security/pam_unix.so .*" (
      t.etc config "pam.d/sudo"
    ) != null;
    expected = true;
  };
  unknownPamServicesAreRefused = {
    expr = t.has "pam_deny.so" (t.etc config "pam.d/other");
    expected = true;
  };
  timeZone = {
    expr = removeAttrs (entry "localtime") [ "user" "group" ];
    expected = {
      target = "localtime";
      mode = "direct-symlink";
      source = "/etc/zoneinfo/Europe/Berlin";
    };
  };
  locale = {
    expr = t.line (t.etc config "locale.conf") "LANG=de_DE.UTF-8";
    expected = true;
  };
  noTargetTwice = {
    expr = builtins.length (
      t.failures {
        environment.etc.a.text = "1";
        environment.etc.b = {
          target = "a";
          text = "2";
        };
      }
    );
    expected = 1;
  };
}
