# buildNpmPackage: an npm project as a package.
{
  lib,
  final,
  nodejs,
  stdenv,
}:
fnOrAttrs:
let
  defaultNode = nodejs;
  complete =
    {
      name ? "${args.pname}-${args.version}",
      src ? null,
      nodejs ? defaultNode,
      # where the packages come from: importNpmLock's, or one hash for all
      npmDeps ? null,
      npmDepsHash ? "",
      npmRoot ? null,
      npmConfigHook ? final.npmHooks.npmConfigHook,
      npmBuildHook ? final.npmHooks.npmBuildHook,
      npmInstallHook ? final.npmHooks.npmInstallHook,
      forceGitDeps ? false,
      nativeBuildInputs ? [ ],
      buildInputs ? [ ],
      passthru ? { },
      meta ? { },
      ...
    }@args:
    let
      deps =
        if npmDeps != null then
          npmDeps
        else
          final.fetchNpmDeps (
            {
              inherit src nodejs;
              name = "${name}-npm-deps";
              hash = npmDepsHash;
            }
            // lib.optionalAttrs (npmRoot != null) { inherit npmRoot; }
            // lib.optionalAttrs (args ? sourceRoot) { inherit (args) sourceRoot; }
            // lib.optionalAttrs (args ? patches) { inherit (args) patches; }
          );
    in
    removeAttrs args [
      "nodejs"
      "npmDepsHash"
      "npmConfigHook"
      "npmBuildHook"
      "npmInstallHook"
      "forceGitDeps"
    ]
    // {
      npmDeps = deps;
      nativeBuildInputs = nativeBuildInputs ++ [
        nodejs
        npmConfigHook
        npmBuildHook
        npmInstallHook
      ];
      # the interpreter of the installed scripts
      buildInputs = buildInputs ++ [ nodejs ];
      strictDeps = args.strictDeps or true;
      dontStrip = args.dontStrip or true;
      passthru = {
        npmDeps = deps;
        inherit nodejs;
      }
      // passthru;
      meta = {
        platforms = nodejs.meta.platforms or lib.platforms.linux;
      }
      // meta;
    };
in
stdenv.mkDerivation (
  if builtins.isFunction fnOrAttrs then self: complete (fnOrAttrs self) else complete fnOrAttrs
)
