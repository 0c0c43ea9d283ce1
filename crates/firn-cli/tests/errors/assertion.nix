let
  version = "1.0";
in
assert version == "2.0";
version
