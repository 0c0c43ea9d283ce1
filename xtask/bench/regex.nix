# 40,000 matches with groups, and splitting a text of 200,000 characters
let
  matched = builtins.filter (i: builtins.match "([a-z]+)-([0-9]+)(\\.[0-9]+)*" "package-${toString i}.1.2" != null) (builtins.genList (i: i) 40000);
  text = builtins.concatStringsSep " " (builtins.genList (i: "abc def") 25000);
in
builtins.length matched + builtins.length (builtins.split "[[:space:]]+" text)
