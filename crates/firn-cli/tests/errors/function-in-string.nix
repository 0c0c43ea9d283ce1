let
  version = { major }: major;
in
"v${version}"
