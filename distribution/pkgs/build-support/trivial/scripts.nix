# Programs from a text: shell, and other languages by their interpreter.
{ lib, final }:
let
  shell = final.runtimeShell;
in
rec {
  # the shell that scripts of the distribution run with
  runtimeShellPackage = final.bash;
  runtimeShell = "${final.runtimeShellPackage}/bin/bash";

  writeScript =
    name: text:
    final.writeTextFile {
      inherit name text;
      executable = true;
    };

  writeScriptBin =
    name: text:
    final.writeTextFile {
      inherit name text;
      executable = true;
      destination = "/bin/${name}";
    };

  writeShellScript =
    name: text:
    final.writeTextFile {
      inherit name;
      executable = true;
      text = ''
        #!${shell}
        ${text}
      '';
      checkPhase = ''${final.stdenvNoCC.shell} -n -O extglob "$target"'';
    };

  writeShellScriptBin =
    name: text:
    final.writeTextFile {
      inherit name;
      executable = true;
      destination = "/bin/${name}";
      text = ''
        #!${shell}
        ${text}
      '';
      checkPhase = ''${final.stdenvNoCC.shell} -n -O extglob "$target"'';
      meta.mainProgram = name;
    };

  # a script with its programs in PATH and with strict options
  writeShellApplication =
    {
      name,
      text,
      runtimeInputs ? [ ],
      runtimeEnv ? null,
      meta ? { },
      passthru ? { },
      checkPhase ? null,
      excludeShellChecks ? [ ],
      extraShellCheckFlags ? [ ],
      bashOptions ? [
        "errexit"
        "nounset"
        "pipefail"
      ],
      derivationArgs ? { },
      inheritPath ? true,
    }:
    final.writeTextFile {
      inherit name passthru derivationArgs;
      executable = true;
      destination = "/bin/${name}";
      allowSubstitutes = true;
      preferLocalBuild = false;
      text = ''
        #!${shell}
        ${lib.concatMapStringsSep "\n" (option: "set -o ${option}") bashOptions}
      ''
      + lib.optionalString (runtimeEnv != null) (
        lib.concatStrings (
          lib.mapAttrsToList (variable: value: ''
            ${lib.toShellVar variable value}
            export ${variable}
          '') runtimeEnv
        )
      )
      + lib.optionalString (runtimeInputs != [ ]) ''

        export PATH="${lib.makeBinPath runtimeInputs}${lib.optionalString inheritPath ":$PATH"}"
      ''
      + ''

        ${text}
      '';
      checkPhase =
        if checkPhase == null then
          ''${final.stdenvNoCC.shell} -n -O extglob "$target"''
        else
          checkPhase;
      meta = {
        mainProgram = name;
      }
      // meta;
    };

  # a C program in one file
  writeCBin =
    pname: code:
    final.runCommandCC pname
      {
        inherit pname code;
        executable = true;
        passAsFile = [ "code" ];
        preferLocalBuild = true;
        meta.mainProgram = pname;
      }
      ''
        n=$out/bin/${pname}
        mkdir -p "$(dirname "$n")"
        mv "$codePath" code.c
        $CC -x c code.c -o "$n"
      '';

  writers =
    let
      interpreted =
        interpreter: destination: name: text:
        final.writeTextFile {
          name = baseNameOf name;
          executable = true;
          inherit destination;
          text = ''
            #!${interpreter}
            ${text}
          '';
        };
      plain = interpreter: name: interpreted interpreter "" name;
      bin = interpreter: name: interpreted interpreter "/bin/${name}" name;
    in
    {
      writeBash = plain "${final.runtimeShell}";
      writeBashBin = bin "${final.runtimeShell}";
      writeDash = plain "${final.runtimeShell}";
      writeDashBin = bin "${final.runtimeShell}";
      writePerl = name: _: plain "${final.perl}/bin/perl" name;
      writePerlBin = name: _: bin "${final.perl}/bin/perl" name;
      writePython3 = name: _: plain "${final.python3}/bin/python3" name;
      writePython3Bin = name: _: bin "${final.python3}/bin/python3" name;
      writeJSON = (final.formats.json { }).generate;
      writeYAML = (final.formats.yaml { }).generate;
      writeTOML = (final.formats.toml { }).generate;
      writeText = final.writeText;
    };
}
