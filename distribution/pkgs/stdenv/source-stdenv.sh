# Runs in front of a package's own builder script: loads the build environment, then the script named as the first argument.
if [ -e "${NIX_ATTRS_SH_FILE:-}" ]; then source "$NIX_ATTRS_SH_FILE"; fi
source "$stdenv/setup"
source "$1"
