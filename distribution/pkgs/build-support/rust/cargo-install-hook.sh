# The install phase of a Cargo project: its programs and its C libraries.

cargoInstallHook() {
    runHook preInstall
    local _type=${cargoBuildType:-release} _built _file
    _built=${CARGO_TARGET_DIR:-target}/@target@/$_type
    local -a _programs=() _libraries=()
    for _file in "$_built"/*; do
        [[ -f $_file ]] || continue
        case $_file in
        *.d | *.rlib | *.rmeta) ;;
        *.so | *.so.* | *.a) _libraries+=("$_file") ;;
        *) if [[ -x $_file ]]; then _programs+=("$_file"); fi ;;
        esac
    done
    if ((${#_programs[@]} + ${#_libraries[@]} == 0)); then
        echo "Cargo has built neither programs nor C libraries in $_built; a package for other crates alone has nothing to install"
        exit 1
    fi
    if ((${#_programs[@]})); then
        mkdir -p "${!outputBin}/bin"
        cp -- "${_programs[@]}" "${!outputBin}/bin"
    fi
    if ((${#_libraries[@]})); then
        mkdir -p "${!outputLib}/lib"
        cp -- "${_libraries[@]}" "${!outputLib}/lib"
    fi
    runHook postInstall
}

if [[ -z ${dontCargoInstall:-} && -z ${installPhase:-} ]]; then
    installPhase=cargoInstallHook
fi
