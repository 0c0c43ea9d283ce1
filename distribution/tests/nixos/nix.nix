# The package manager's settings.
t:
let
  config = t.machine {
    nix.settings = {
      max-jobs = 4;
      experimental-features = [
        "nix-command"
        "flakes"
      ];
      extra-substituters = [ "https://cache.example.org" ];
    };
    nix.extraOptions = "keep-outputs = true\n";
    nix.gc = {
      automatic = true;
      dates = "weekly";
      options = "--delete-older-than 30d";
    };
    nix.registry.mine.to = {
      type = "path";
      path = "/srv/mine";
    };
  };
  text = t.etc config "nix/nix.conf";
in
{
  settings = {
    expr = map (t.line text) [
      "max-jobs = 4"
      "experimental-features = nix-command flakes"
      "trusted-users = root"
      "sandbox = true"
      "keep-outputs = true"
    ];
    expected = [
      true
      true
      true
      true
      true
    ];
  };
  collection = {
    expr = [
      (t.values "OnCalendar" (t.unit config "nix-gc.timer"))
      (t.values "Persistent" (t.unit config "nix-gc.timer"))
      (t.has "nix-collect-garbage --delete-older-than 30d" config.systemd.services.nix-gc.script)
    ];
    expected = [
      [ "weekly" ]
      [ "true" ]
      true
    ];
  };
  noCollectionByDefault = {
    expr = (t.machine { }).systemd.units ? "nix-gc.timer";
    expected = false;
  };
  registry = {
    expr = (builtins.head (builtins.fromJSON (t.etc config "nix/registry.json")).flakes).from;
    expected = {
      type = "indirect";
      id = "mine";
    };
  };
}
