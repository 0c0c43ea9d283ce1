# Runs in front of every builder script: loads the build environment, then the script named as the first argument.
if [ -e "${NIX_ATTRS_SH_FILE:-}" ]; then
    source "$NIX_ATTRS_SH_FILE"
elif [ -f .attrs.sh ]; then
    source .attrs.sh
fi
source "$stdenv/setup"
source "$1"
