# Many builds that do next to nothing, and one that needs them all.
{ count ? 300 }:
let
  line =
    text: name:
    derivation {
      inherit name;
      system = builtins.currentSystem;
      builder = "/bin/sh";
      args = [
        "-c"
        "echo ${text} > $out"
      ];
    };
  numbers = builtins.genList toString count;
in
line (toString (map (n: line n "line-${n}") numbers)) "lines"
