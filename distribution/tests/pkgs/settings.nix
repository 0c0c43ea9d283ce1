# The set's settings: which packages it refuses to evaluate.
{
  pkgs,
  lib,
  system,
}:
let
  set =
    config:
    import ../.. {
      inherit system config;
      overlays = [ ];
    };
  evaluates = value: (builtins.tryEval value).success;
  make =
    p: meta:
    (p.stdenv.mkDerivation {
      pname = "thing";
      version = "1";
      inherit meta;
    }).drvPath;
  unfree = p: make p { license = p.lib.licenses.unfree; };
  broken = p: make p { broken = true; };
  insecure = p: make p { knownVulnerabilities = [ "hole" ]; };
  foreign = p: make p { platforms = [ "riscv64-linux" ]; };
in
{
  free-is-fine = evaluates (make (set { }) { license = lib.licenses.mit; });
  unfree-is-refused = !evaluates (unfree (set { }));
  unfree-allowed = evaluates (unfree (set { allowUnfree = true; }));
  unfree-by-predicate = evaluates (unfree (set { allowUnfreePredicate = p: lib.getName p == "thing"; }));
  broken-is-refused = !evaluates (broken (set { }));
  broken-allowed = evaluates (broken (set { allowBroken = true; }));
  insecure-is-refused = !evaluates (insecure (set { }));
  insecure-permitted = evaluates (insecure (set { permittedInsecurePackages = [ "thing-1" ]; }));
  foreign-platform-is-refused = !evaluates (foreign (set { }));
  foreign-platform-allowed = evaluates (foreign (set { allowUnsupportedSystem = true; }));
  meta-of-a-refused-package-can-be-read =
    ((set { }).stdenv.mkDerivation { name = "x"; meta.broken = true; }).meta.broken;
}
