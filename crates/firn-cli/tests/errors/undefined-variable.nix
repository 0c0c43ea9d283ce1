let
  foobar = 1;
in
foobaz + 1
