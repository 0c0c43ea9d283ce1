# Many small paths: `count` texts, of which each tenth refers to the one before.
{ count ? 5000 }:
let
  text =
    n: toString n + (if n > 0 && n - n / 10 * 10 == 0 then " ${text (n - 1)}" else "") + "\n";
  file = n: builtins.toFile "text-${toString n}" (text n);
in
map file (builtins.genList (n: n) count)
