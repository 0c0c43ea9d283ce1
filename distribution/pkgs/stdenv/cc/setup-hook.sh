# What the compiler adds to a build environment: its name, and the headers and libraries of every input.
export CC=${CC:-gcc} CXX=${CXX:-g++} LD=${LD:-ld} AR=${AR:-ar} AS=${AS:-as} NM=${NM:-nm} RANLIB=${RANLIB:-ranlib}
export STRIP=${STRIP:-strip} OBJCOPY=${OBJCOPY:-objcopy} OBJDUMP=${OBJDUMP:-objdump} READELF=${READELF:-readelf} SIZE=${SIZE:-size}
export NIX_CC=@out@

_ccAddInput() {
    if [[ -d $1/include ]]; then
        export NIX_CFLAGS_COMPILE="${NIX_CFLAGS_COMPILE:+$NIX_CFLAGS_COMPILE }-isystem $1/include"
    fi
    # a folder of plugins or data is no place to link from
    local file
    for file in "$1"/lib/lib*.so* "$1"/lib/lib*.a; do
        if [[ -e $file ]]; then
            export NIX_LDFLAGS="${NIX_LDFLAGS:+$NIX_LDFLAGS }-L$1/lib"
            break
        fi
    done
    return 0
}
addEnvHooks "${targetOffset:-0}" _ccAddInput
