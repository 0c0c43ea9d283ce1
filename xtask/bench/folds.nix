# foldl', map and filter over 500,000 numbers
let
  numbers = builtins.genList (i: i + 1) 500000;
  threes = builtins.filter (n: n / 3 * 3 == n) numbers;
in
builtins.foldl' (a: b: a + b) 0 (map (n: n * 2) threes)
