# sorting 200,000 numbers and 50,000 strings, grouping and partitioning
let
  numbers = builtins.genList (i: (i * 7919) - (i * 7919) / 100003 * 100003) 200000;
  strings = map toString (builtins.genList (i: i * 31) 50000);
in
[
  (builtins.elemAt (builtins.sort (a: b: a < b) numbers) 5)
  (builtins.elemAt (builtins.sort builtins.lessThan strings) 5)
  (builtins.length (builtins.attrNames (builtins.groupBy (n: toString (n - n / 100 * 100)) numbers)))
  (builtins.length (builtins.partition (n: n > 50000) numbers).right)
]
