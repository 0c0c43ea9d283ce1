# The phases of npm as setup hooks.
{ final }:
let
  hook =
    name: script:
    final.makeSetupHook {
      inherit name;
      propagatedBuildInputs = [ final.jq ];
    } script;
in
{
  npmConfigHook = hook "npm-config-hook" ./npm-config-hook.sh;
  npmBuildHook = hook "npm-build-hook" ./npm-build-hook.sh;
  npmInstallHook = hook "npm-install-hook" ./npm-install-hook.sh;
}
