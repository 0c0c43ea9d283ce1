# The builder of packages that bring none of their own: loads the build environment, then runs all phases in order.
#
# The phases are started from here and not from a sourced file: bash 5.2 complains about its own state when a function that a
# sourced file called ends the shell.
if [ -e "${NIX_ATTRS_SH_FILE:-}" ]; then source "$NIX_ATTRS_SH_FILE"; fi
source "$stdenv/setup"
genericBuild
