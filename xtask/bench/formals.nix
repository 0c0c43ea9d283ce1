# 200,000 calls with sets of named arguments and defaults
let
  area = { width, height ? width, scale ? 1, ... }: width * height * scale;
  call = i: if i - i / 2 * 2 == 0 then area { width = i; } else area { width = i; height = 2; other = null; };
in
builtins.foldl' (sum: i: sum + call i) 0 (builtins.genList (i: i) 200000)
