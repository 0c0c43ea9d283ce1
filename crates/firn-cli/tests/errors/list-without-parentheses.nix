let
  double = x: x * 2;
in
map (x: x + 1) [ double 2 ]
