let
  config = { services.nginx.enable = true; };
in
config.services.ngin.enable
