# Node.js from its makers' own binaries, several versions side by side. Each has the npm that came with it.
{
  lib,
  importBinary,
  fetchurlBoot,
  debian,
  runtimeShell,
  runtimeShellPackage,
  hostPlatform,
}:
let
  arch = hostPlatform.firn.npmArch;

  importNpm =
    { version, sha256 }:
    importBinary {
      pname = "npm";
      inherit version;
      spec = {
        kind = "tarball";
        sources = [
          "${fetchurlBoot {
            url = "mirror://npm/npm/-/npm-${version}.tgz";
            inherit sha256;
          }}"
        ];
        target = "lib/node_modules/npm";
        # scripts find their interpreters in PATH, as on any system
        text = false;
        elf = false;
      };
      meta = {
        description = "The package manager of Node.js";
        homepage = "https://github.com/npm/cli";
      };
    };

  # a program of npm, run by the very node beside it
  wrapper = script: ''
    #!${runtimeShell}
    exec @out@/bin/node ${script} "$@"
  '';

  build =
    {
      version,
      # of the archive, for each of npm's names of processors
      sha256,
      npm,
    }:
    let
      manager = importNpm npm;
      scripts = "${manager}/lib/node_modules/npm/bin";
    in
    importBinary {
      pname = "nodejs";
      inherit version;
      spec = {
        kind = "tarball";
        sources = [
          "${fetchurlBoot {
            url = "mirror://npm/node-linux-${arch}/-/node-linux-${arch}-${version}.tgz";
            sha256 = sha256.${arch};
          }}"
        ];
        dependencies = map (d: "${d}") [
          debian.glibc
          debian."libstdc++6"
          # of the wrappers
          runtimeShellPackage
        ];
        prune = [ "package.json" ];
        executables = [
          "bin/node"
          "bin/npm"
          "bin/npx"
        ];
        write = {
          "bin/npm" = wrapper "${scripts}/npm-cli.js";
          "bin/npx" = wrapper "${scripts}/npx-cli.js";
        };
        textSkip = [ "include/**" ];
      };
      passthru = {
        npm = manager;
        python = null;
      };
      meta = {
        description = "Event-driven I/O framework for the V8 JavaScript engine";
        homepage = "https://nodejs.org";
        mainProgram = "node";
        license = lib.licenses.mit;
        platforms = [ "x86_64-linux" ];
      };
    };
in
{
  nodejs_14 = build {
    version = "14.21.3";
    sha256.x64 = "cc3efd9554ee6bb5a32392a1102d9228a82cd6f57d98bcc3655a9e69832dcaa4";
    npm = {
      version = "6.14.18";
      sha256 = "c9b15f277e2a0b1b57e05bad04504296a27024555d56c2aa967f862e957ad2ed";
    };
  };
  nodejs_18 = build {
    version = "18.12.0";
    sha256.x64 = "f28fef6ba26896cf6a77d447d3e9ecb4fef8f2f8a1bf88e485b905e1a90d0d58";
    npm = {
      version = "8.19.2";
      sha256 = "439fb2276f7039d2fba2739e361006f3bc25d6a6b3f88c1edb4d28ab5a7eb3f7";
    };
  };
  nodejs_22 = build {
    version = "22.23.3";
    sha256.x64 = "00b5c43d88958dbbf45339c4d5e9a76289c7e25876fd08270b379e485e151fc5";
    npm = {
      version = "10.9.9";
      sha256 = "c80bd097147cce32e31010b791bab8c71a26a5e10668210ec9d2e7f4c7cea2a1";
    };
  };
}
