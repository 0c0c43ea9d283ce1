let
  names = builtins.filter (n: n == "x") [ "a" "b" ];
in
builtins.head names
