#!@shell@
# Calls the compiler with the C library's headers and start files, the wrapped linker, and what the build environment asks
# for: NIX_CFLAGS_COMPILE_BEFORE, NIX_CFLAGS_COMPILE, NIX_CXXSTDLIB_COMPILE, NIX_CFLAGS_LINK, NIX_LDFLAGS (through ld),
# NIX_HARDENING_ENABLE, NIX_DEBUG.
language=@language@

link=1 standardIncludes=1 standardLibraries=1 optimise= fortified= noPie=
for ((i = 1; i <= $#; i++)); do
    argument=${!i}
    case $argument in
    -c | -S | -E | -M | -MM | -fsyntax-only) link= ;;
    --version | -dumpversion | -dumpmachine | -print-* | --print-*) link= ;;
    -nostdinc) standardIncludes= ;;
    -nostdinc++) cxxIncludes=none ;;
    -nostdlib | -nodefaultlibs) standardLibraries= ;;
    -x)
        ((++i))
        case ${!i} in c++*) language=c++ ;; esac
        ;;
    -xc++*) language=c++ ;;
    -O0) optimise= ;;
    -O*) optimise=1 ;;
    -D_FORTIFY_SOURCE* | -U_FORTIFY_SOURCE*) fortified=1 ;;
    -fno-pic | -fno-PIC | -fno-pie | -fno-PIE | -nopie | -no-pie | -static) noPie=1 ;;
    *.cc | *.cpp | *.cxx | *.C | *.c++ | *.hpp) if [[ $argument != -* && $language != c++ ]]; then cxxSource=1; fi ;;
    esac
done

before=() after=()
if [[ -n $standardIncludes ]]; then
    if [[ $language == c++ || -n ${cxxSource:-} ]] && [[ -z ${cxxIncludes:-} ]]; then
        after+=(-isystem @cxxHeaders@ -isystem @cxxHeaders@/backward)
    fi
    before+=(-nostdinc)
    after+=(-isystem @private@/include -isystem @cc@/include -idirafter @libcDev@/include)
fi
before+=(-B@libcDev@/lib -B@libc@/lib -B@bintools@/bin)

hardening=" ${NIX_HARDENING_ENABLE-} "
has() { [[ $hardening == *" $1 "* ]]; }
if has stackprotector; then before+=(-fstack-protector-strong --param ssp-buffer-size=4); fi
if has strictoverflow; then before+=(-fno-strict-overflow); fi
if has format; then before+=(-Wformat -Wformat-security -Werror=format-security); fi
if has pic && [[ -z $noPie ]]; then before+=(-fPIC); fi
if has fortify && [[ -n $optimise && -z $fortified ]]; then before+=(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2); fi

# one word a flag
before+=(${NIX_CFLAGS_COMPILE_BEFORE:-})
after=(${NIX_CFLAGS_COMPILE:-} ${after[@]+"${after[@]}"})
if [[ -n $link ]]; then
    after+=(${NIX_CFLAGS_LINK:-} -L@libcDev@/lib -L@libc@/lib)
    if [[ -n $standardLibraries ]]; then after+=(-L@private@ -L@cc@/lib); fi
fi

if ((${NIX_DEBUG:-0} >= 1)); then
    printf 'cc: %q\n' @program@ "${before[@]}" "$@" ${after[@]+"${after[@]}"} >&2
fi
# nothing to compile: what is added would be taken for work to do
case ${1:-}:$# in
--version:1 | -v:1 | -dumpversion:1 | -dumpmachine:1 | --help:1) exec @program@ "$@" ;;
esac
exec @program@ "${before[@]}" "$@" ${after[@]+"${after[@]}"}
