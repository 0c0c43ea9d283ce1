# Builds stdenv: the settings and the parts of the build environment, in order, as one file.
export PATH=$coreutils/bin
mkdir -p "$out/nix-support"
cat "$headerPath" $parts >"$out/setup"
