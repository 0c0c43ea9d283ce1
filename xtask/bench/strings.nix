# interpolation, joining and replacing, 200,000 times
let
  words = map (i: "word-${toString i}") (builtins.genList (i: i) 200000);
  text = builtins.concatStringsSep "," words;
in
builtins.stringLength (builtins.replaceStrings [ "word" "-" ] [ "w" "_" ] text)
