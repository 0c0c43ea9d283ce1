#!@shell@
# Calls the linker with the C library's folder, its dynamic linker, and a RUNPATH entry for each store folder that a shared
# library was found in. Settings: NIX_LDFLAGS, NIX_LDFLAGS_BEFORE, NIX_DONT_SET_RPATH, NIX_DYNAMIC_LINKER,
# NIX_HARDENING_ENABLE (relro, bindnow), NIX_DEBUG.
store=${NIX_STORE:-/nix/store}
linker=${NIX_DYNAMIC_LINKER:-@dynamicLinker@}

# response files hold arguments too
given=()
for argument; do
    if [[ $argument == @* && -f ${argument#@} ]]; then
        # quoting in them is the shell's, near enough: words, quotes, backslashes
        words=()
        while IFS= read -r -d '' word; do words+=("$word"); done < <(xargs printf '%s\0' <"${argument#@}" 2>/dev/null)
        if ((${#words[@]})); then given+=("${words[@]}"); else given+=("$argument"); fi
    else
        given+=("$argument")
    fi
done

before=(${NIX_LDFLAGS_BEFORE:-})
after=(${NIX_LDFLAGS:-})
case " ${NIX_HARDENING_ENABLE-} " in *" relro "*) before+=(-z relro) ;; esac
case " ${NIX_HARDENING_ENABLE-} " in *" bindnow "*) before+=(-z now) ;; esac

relocatable= static=
parameters=()
for ((i = 0; i < ${#given[@]}; i++)); do
    argument=${given[i]}
    case $argument in
    -r | --relocatable) relocatable=1 ;;
    -static | --static | -Bstatic | -static-pie) [[ $argument == -Bstatic ]] || static=1 ;;
    -dynamic-linker | --dynamic-linker | -I)
        # the compiler's built-in path is that of a host system
        if [[ ${given[i + 1]:-} == /lib* ]]; then
            parameters+=("$argument" "$linker")
            ((++i))
            continue
        fi
        ;;
    -dynamic-linker=/lib* | --dynamic-linker=/lib*) argument=-dynamic-linker=$linker ;;
    esac
    parameters+=("$argument")
done
after+=(-L@libcDev@/lib -L@libc@/lib)

rpaths=(@libc@/lib)
if [[ -z $relocatable && -z $static && ${NIX_DONT_SET_RPATH:-} != 1 ]]; then
    all=(${before[@]+"${before[@]}"} ${parameters[@]+"${parameters[@]}"} "${after[@]}")
    folders=() libraries=()
    declare -A have=()
    for ((i = 0; i < ${#all[@]}; i++)); do
        argument=${all[i]}
        case $argument in
        -L) folders+=("${all[++i]}") ;;
        -L*) folders+=("${argument#-L}") ;;
        --library-path=*) folders+=("${argument#*=}") ;;
        -l) libraries+=("${all[++i]}") ;;
        -l*) libraries+=("${argument#-l}") ;;
        --library=*) libraries+=("${argument#*=}") ;;
        -rpath | --rpath) have[${all[++i]}]=1 ;;
        -rpath=* | --rpath=*) have[${argument#*=}]=1 ;;
        -plugin | -soname | -o | -m | -z | -T | -h | -e | -u | -rpath-link | --version-script) ((++i)) ;;
        "$store"/*.so | "$store"/*.so.*) rpaths+=("${argument%/*}") ;;
        esac
    done
    found=()
    for library in ${libraries[@]+"${libraries[@]}"}; do
        if [[ $library == :* ]]; then name=${library#:}; else name=lib$library.so; fi
        for folder in ${folders[@]+"${folders[@]}"}; do
            if [[ -e $folder/$name ]]; then
                found+=("$folder/$name")
                break
            elif [[ $library != :* && -e $folder/lib$library.a ]]; then
                break
            fi
        done
    done
    if ((${#found[@]})); then
        # a link may lead to the package that holds the library itself
        while IFS= read -r file; do
            # not the linker's own scripts (libc.so, libgcc_s.so): what they name is in the C library's folder
            magic=
            IFS= read -r -n 4 -d '' magic <"$file" 2>/dev/null
            if [[ $file == "$store"/* && $magic == $'\177ELF' ]]; then rpaths+=("${file%/*}"); fi
        done < <(@readlink@ -f -- "${found[@]}")
    fi
    for folder in ${rpaths[@]+"${rpaths[@]}"}; do
        if [[ -z ${have[$folder]:-} ]]; then
            have[$folder]=1
            after+=(-rpath "$folder")
        fi
    done
fi

if ((${NIX_DEBUG:-0} >= 1)); then
    printf 'ld: %q\n' @ld@ ${before[@]+"${before[@]}"} ${parameters[@]+"${parameters[@]}"} "${after[@]}" >&2
fi
exec @ld@ ${before[@]+"${before[@]}"} ${parameters[@]+"${parameters[@]}"} "${after[@]}"
