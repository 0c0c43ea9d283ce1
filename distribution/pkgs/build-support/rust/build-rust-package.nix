# buildRustPackage: a Cargo project as a package, its crates fetched beforehand by the hashes of Cargo.lock.
{
  lib,
  cargo,
  rustc,
  hooks,
  vendor,
}:
stdenv: fnOrAttrs:
let
  complete =
    {
      name ? "${args.pname}-${args.version}",
      src ? null,
      # where the crates come from: Cargo.lock, one hash for all, or a folder made before
      cargoLock ? null,
      cargoHash ? null,
      cargoDeps ? null,
      cargoRoot ? null,
      cargoPatches ? [ ],
      patches ? [ ],
      depsExtraArgs ? { },

      buildType ? "release",
      checkType ? buildType,
      buildFeatures ? [ ],
      checkFeatures ? buildFeatures,
      buildNoDefaultFeatures ? false,
      checkNoDefaultFeatures ? buildNoDefaultFeatures,
      cargoBuildFlags ? [ ],
      cargoTestFlags ? [ ],
      nativeBuildInputs ? [ ],
      useNextest ? false,
      passthru ? { },
      meta ? { },
      ...
    }@args:
    let
      deps =
        if cargoDeps != null then
          cargoDeps
        else if cargoLock != null then
          vendor.importCargoLock cargoLock
        else if cargoHash != null then
          vendor.fetchCargoVendor (
            {
              inherit name src;
              hash = cargoHash;
              patches = cargoPatches;
            }
            // lib.optionalAttrs (cargoRoot != null) { inherit cargoRoot; }
            // lib.optionalAttrs (args ? sourceRoot) { inherit (args) sourceRoot; }
            // depsExtraArgs
          )
        else
          throw "buildRustPackage: ‘${name}’ does not say where its crates come from; set `cargoLock.lockFile = ./Cargo.lock;` (or `cargoHash`)";
    in
    removeAttrs args [
      "buildFeatures"
      "buildNoDefaultFeatures"
      "buildType"
      "cargoHash"
      "cargoLock"
      "cargoPatches"
      "checkFeatures"
      "checkNoDefaultFeatures"
      "checkType"
      "depsExtraArgs"
      "useNextest"
    ]
    // {
      cargoDeps = deps;
      patches = cargoPatches ++ patches;
      cargoBuildType = buildType;
      cargoCheckType = checkType;
      cargoBuildFeatures = buildFeatures;
      cargoCheckFeatures = checkFeatures;
      cargoBuildNoDefaultFeatures = buildNoDefaultFeatures;
      cargoCheckNoDefaultFeatures = checkNoDefaultFeatures;
      nativeBuildInputs =
        if useNextest then
          throw "buildRustPackage: ‘${name}’ sets useNextest, but this distribution has no cargo-nextest; remove it to use `cargo test`"
        else
          nativeBuildInputs
          ++ [
            hooks.cargoSetupHook
            hooks.cargoBuildHook
            hooks.cargoCheckHook
            hooks.cargoInstallHook
            cargo
            rustc
          ];
      doCheck = args.doCheck or true;
      strictDeps = args.strictDeps or true;
      passthru = {
        cargoDeps = deps;
      }
      // passthru;
      meta = {
        platforms = rustc.meta.platforms or lib.platforms.linux;
      }
      // meta;
    };
in
stdenv.mkDerivation (
  if builtins.isFunction fnOrAttrs then final: complete (fnOrAttrs final) else complete fnOrAttrs
)
