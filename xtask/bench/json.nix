# writing and reading 2 MB of JSON, and hashing it
let
  value = builtins.genList (i: { id = i; name = "item ${toString i}"; tags = [ "a" "b" i ]; nested.deep.value = i * 0.5; }) 20000;
  text = builtins.toJSON value;
in
[
  (builtins.hashString "sha256" text)
  (builtins.length (builtins.fromJSON text))
]
