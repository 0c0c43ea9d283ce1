let
  port = 8080;
in
"listen ${port};"
