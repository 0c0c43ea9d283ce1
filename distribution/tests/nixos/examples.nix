# Every example evaluates to a system, as a machine and as a container.
t:
let
  examples = {
    minimal = ../../../examples/minimal/configuration.nix;
    timer = ../../../examples/timer/configuration.nix;
    tls-site = ../../../examples/tls-site/configuration.nix;
    webserver = ../../../examples/webserver/configuration.nix;
    webserver-second = ../../../examples/webserver/second.nix;
    wireguard = ../../../examples/wireguard/configuration.nix;
  };
  drv = modules: (t.evaluate modules).config.system.build.toplevel.drvPath;
in
builtins.mapAttrs (_: file: {
  expr = map (path: builtins.match "/nix/store/.*-nixos-system-.*\\.drv" path != null) [
    (drv [ file ])
    (drv [
      file
      { boot.isContainer = true; }
    ])
  ];
  expected = [
    true
    true
  ];
}) examples
// {
  secondGenerationDiffers = {
    expr = drv [ examples.webserver ] != drv [ examples.webserver-second ];
    expected = true;
  };
}
