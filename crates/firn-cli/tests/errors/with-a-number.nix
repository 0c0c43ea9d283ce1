let
  settings = 5;
in
with settings; port
