# 100,000 updates of a set with 50 names
(builtins.foldl' (set: i: set // { "name${toString (i - i / 50 * 50)}" = i; }) { } (builtins.genList (i: i) 100000)).name7
