# Setup hooks that wrap programs: makeWrapper and its relatives.
{ lib, final }:
{
  makeWrapper = final.makeSetupHook {
    name = "make-wrapper-hook";
    substitutions.wrapperShell = final.runtimeShell;
  } ./make-wrapper.sh;

  # the same functions; the wrapper is a shell script here too
  makeBinaryWrapper = final.makeWrapper;
  makeShellWrapper = final.makeWrapper;
}
