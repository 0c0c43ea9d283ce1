let
  pkgs = { hello = "x"; };
in
pkgs.hello { }
