# The build environment, part 4: unpacking sources and applying patches.

unpackFile() {
    local curSrc=$1
    echo "unpacking source archive $curSrc"
    if ! runOneHook unpackCmd "$curSrc"; then
        echo "do not know how to unpack source archive $curSrc"
        exit 1
    fi
}

_unpackFolder() {
    [[ -d $1 ]] || return 1
    local destination
    destination=$(stripHash "$1")
    if [[ -e $destination ]]; then
        echo "Cannot copy $1 to $destination: destination already exists!"
        echo "Did you specify two \"srcs\" with the same \"name\"?"
        return 1
    fi
    # folders only: hard links within a source are kept, the store's read-only modes are lifted below
    cp -r --preserve=timestamps,links,mode --reflink=auto -- "$1" "$destination"
}

_unpackArchive() {
    case $1 in
    *.tar.xz | *.tar.lzma | *.txz) xz -d <"$1" | tar xf - --mode=+w --warning=no-timestamp ;;
    *.tar.zst | *.tzst) zstd -d <"$1" | tar xf - --mode=+w --warning=no-timestamp ;;
    *.tar | *.tar.* | *.tgz | *.tbz2 | *.tbz) tar xf "$1" --mode=+w --warning=no-timestamp ;;
    *) return 1 ;;
    esac
}
appendToVar unpackCmdHooks _unpackFolder _unpackArchive

unpackPhase() {
    runHook preUnpack
    local _list=() _archive _before=() _folder
    # `src` is a path; `srcs` a list
    if [[ -n ${srcs:-} ]] || isDeclaredArray srcs; then
        concatTo _list srcs
    elif [[ -n ${src:-} ]]; then
        _list=("$src")
    else
        echo 'variable $src or $srcs should point to the source'
        exit 1
    fi

    for _folder in *; do [[ -d $_folder ]] && _before+=("$_folder"); done
    for _archive in "${_list[@]}"; do unpackFile "$_archive"; done

    : "${sourceRoot=}"
    if [[ -n ${setSourceRoot:-} ]]; then
        runOneHook setSourceRoot
    elif [[ -z $sourceRoot ]]; then
        for _folder in *; do
            [[ -d $_folder && " ${_before[*]-} " != *" $_folder "* ]] || continue
            if [[ -n $sourceRoot ]]; then
                echo "unpacker produced multiple directories"
                exit 1
            fi
            sourceRoot=$_folder
        done
    fi
    if [[ -z $sourceRoot ]]; then
        echo "unpacker appears to have produced no directories"
        exit 1
    fi
    echo "source root is $sourceRoot"
    if [[ ${dontMakeSourcesWritable:-0} != 1 ]]; then chmod -R u+w -- "$sourceRoot"; fi
    runHook postUnpack
}

patchPhase() {
    runHook prePatch
    local _list=() _flags=() _file
    concatTo _list patches
    concatTo _flags patchFlags=-p1
    for _file in ${_list[@]+"${_list[@]}"}; do
        echo "applying patch $_file"
        case $_file in
        *.gz) gzip -d <"$_file" ;;
        *.bz2) bzip2 -d <"$_file" ;;
        *.xz | *.lzma) xz -d <"$_file" ;;
        *.zst) zstd -d <"$_file" ;;
        *) cat "$_file" ;;
        esac | patch "${_flags[@]}"
    done
    runHook postPatch
}

# After unpacking, files look as old as the newest one that came in the archive: nothing is newer than "now".
_setSourceDateEpoch() {
    local newest
    newest=$(find "$sourceRoot" -type f -not -newer "$NIX_BUILD_TOP" -printf '%T@\n' 2>/dev/null | sort -n | tail -n 1) || true
    newest=${newest%%.*}
    if [[ -n $newest ]] && ((newest > SOURCE_DATE_EPOCH)); then
        SOURCE_DATE_EPOCH=$newest
    fi
    export SOURCE_DATE_EPOCH
}
appendToVar postUnpackHooks _setSourceDateEpoch
