# The phases of Cargo as setup hooks, so that packages built otherwise can use them too.
{
  lib,
  final,
  cargo,
  rustc,
}:
let
  hook =
    name: script:
    final.makeSetupHook {
      inherit name;
      propagatedBuildInputs = [
        cargo
        rustc
      ];
      substitutions.target = final.hostPlatform.config or "x86_64-unknown-linux-gnu";
    } script;
in
{
  cargoSetupHook = hook "cargo-setup-hook.sh" ./cargo-setup-hook.sh;
  cargoBuildHook = hook "cargo-build-hook.sh" ./cargo-build-hook.sh;
  cargoCheckHook = hook "cargo-check-hook.sh" ./cargo-check-hook.sh;
  cargoInstallHook = hook "cargo-install-hook.sh" ./cargo-install-hook.sh;
}
