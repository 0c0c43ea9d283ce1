# Small checks of packages: that a program says its version, that two files are equal.
{ lib, final }:
{
  testVersion =
    {
      package,
      command ? "${package.meta.mainProgram or package.pname or package.name} --version",
      version ? package.version,
    }:
    final.runCommand "${package.name}-test-version"
      {
        nativeBuildInputs = [ package ];
        inherit version;
        meta.timeout = 60;
      }
      ''
        if output=$(${command} 2>&1); then
          if grep -Fw -- "$version" - <<< "$output"; then
            touch $out
          else
            echo "$output" >&2
            echo "the version string '$version' is not in the output" >&2
            exit 1
          fi
        else
          echo "$output" >&2
          echo "the command failed: ${lib.escape [ "\"" "$" "`" ] command}" >&2
          exit 1
        fi
      '';

  testEqualContents =
    {
      assertion,
      actual,
      expected,
    }:
    final.runCommand "equal-contents-${lib.strings.sanitizeDerivationName assertion}"
      {
        inherit actual expected;
      }
      ''
        if diff -r "$expected" "$actual"; then
          touch $out
        else
          echo "contents are not equal" >&2
          exit 1
        fi
      '';
}
