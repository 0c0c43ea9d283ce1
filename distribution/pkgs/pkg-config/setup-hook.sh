# What pkg-config adds to a build environment: where the inputs' descriptions are.
export PKG_CONFIG=${PKG_CONFIG:-pkg-config}
_pkgConfigAddInput() {
    addToSearchPath PKG_CONFIG_PATH "$1/lib/pkgconfig"
    addToSearchPath PKG_CONFIG_PATH "$1/share/pkgconfig"
}
addEnvHooks "${targetOffset:-0}" _pkgConfigAddInput
