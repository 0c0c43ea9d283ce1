# The build environment, part 6: what is done to each output after installing. Every step has a switch (dontStrip,
# dontPatchShebangs, dontPatchELF, dontGzipMan, dontMoveSbin, dontMoveLib64, noAuditTmpdir).

# --- where files belong ---------------------------------------------------------------------------------------------

_mergeFolder() { # FROM TO (in $prefix): moves the contents, leaves a link
    if [[ ! -d $prefix/$1 || -L $prefix/$1 ]]; then return 0; fi
    echo "moving $prefix/$1/* to $prefix/$2"
    mkdir -p "$prefix/$2"
    local entry
    for entry in "$prefix/$1"/* "$prefix/$1"/.[!.]*; do
        if [[ -e $entry || -L $entry ]]; then mv -- "$entry" "$prefix/$2/"; fi
    done
    rmdir "$prefix/$1"
    ln -s "$2" "$prefix/$1"
}
_moveSbin() { if [[ -z ${dontMoveSbin:-} ]]; then _mergeFolder sbin bin; fi; }
_moveLib64() { if [[ -z ${dontMoveLib64:-} ]]; then _mergeFolder lib64 lib; fi; }
_moveSystemdUserUnits() {
    if [[ -z ${dontMoveSystemdUserUnits:-} ]]; then _mergeFolder lib/systemd/user share/systemd/user; fi
}

# moveToOutput PATTERN PATH moves what matches in every other output to the output PATH (or deletes it: PATH = REMOVE)
moveToOutput() {
    local pattern=$1 target=$2 output found relative
    for output in $(getAllOutputNames); do
        if [[ ${!output} == "$target" ]]; then continue; fi
        # globbing is wanted
        for found in "${!output}"/$pattern; do
            [[ -e $found || -L $found ]] || continue
            if [[ $target == REMOVE ]]; then
                echo "Removing $found"
                rm -rf -- "$found"
            else
                relative=${found#"${!output}"}
                echo "Moving $found to $target$relative"
                if [[ -d $found && -d $target$relative ]]; then
                    cp -a "$found/." "$target$relative/"
                    rm -rf -- "$found"
                else
                    mkdir -p "$target${relative%/*}"
                    mv -- "$found" "$target${relative%/*}/"
                fi
            fi
            # no empty folders are left behind
            rmdir -p --ignore-fail-on-non-empty "$(dirname "$found")" 2>/dev/null || true
        done
    done
}

_distributeOutputs() {
    local all
    all=$(getAllOutputNames)
    [[ $all == *" "* ]] || return 0
    moveToOutput "share/man" "${!outputMan}"
    moveToOutput "share/info" "${!outputInfo}"
    moveToOutput "share/doc" "${!outputDoc}"
    moveToOutput "share/gtk-doc" "${!outputDevdoc}"
    moveToOutput "share/devhelp" "${!outputDevdoc}"
    if [[ $outputMan != "$outputDevman" ]]; then moveToOutput "share/man/man3" "${!outputDevman}"; fi
    if [[ $outputDev != "$outputBin" || $outputDev != "$outputLib" ]]; then
        moveToOutput include "${!outputInclude}"
        moveToOutput lib/pkgconfig "${!outputDev}"
        moveToOutput share/pkgconfig "${!outputDev}"
        moveToOutput lib/cmake "${!outputDev}"
        moveToOutput share/aclocal "${!outputDev}"
    fi
    if [[ $outputBin != "$(_firstOutput out)" ]]; then
        moveToOutput bin "${!outputBin}"
        moveToOutput sbin "${!outputBin}"
    fi
    if [[ $outputLib != "$(_firstOutput out)" ]]; then
        moveToOutput "lib/*.so*" "${!outputLib}"
    fi
    # pkg-config's files name the headers' place
    if [[ ${!outputInclude} != "$prefix" ]]; then
        find "${!outputDev}"/{lib,share}/pkgconfig -name '*.pc' -exec \
            sed -i "s,^includedir=\(\${prefix}\|$prefix\)/include,includedir=${!outputInclude}/include," {} + 2>/dev/null || true
    fi
    # the headers' users need the libraries
    if [[ ${!outputDev} != "${!outputLib}" && -e ${!outputDev} && -z ${propagatedBuildOutputs+x} ]]; then
        appendToVar propagatedBuildInputs "${!outputLib}"
    fi
}
prependToVar preFixupHooks _distributeOutputs

# --- smaller and reproducible ---------------------------------------------------------------------------------------

_compressManPages() {
    if [[ -n ${dontGzipMan:-} || ! -d $prefix/share/man ]]; then return 0; fi
    echo "gzipping man pages under $prefix/share/man/"
    find "$prefix/share/man" -type f -not -name '*.gz' -not -name '*.bz2' -not -name '*.xz' -print0 | xargs -0r -n64 gzip -n -f
    local link target
    find "$prefix/share/man" -type l -print0 | while IFS= read -r -d '' link; do
        target=$(readlink "$link")
        if [[ $target != *.gz && ! -e $link ]]; then
            rm "$link"
            ln -s "$target.gz" "${link%.gz}.gz"
        fi
    done
}

_isELF() { # FILE
    local magic
    LC_ALL=C IFS= read -r -d '' -n 4 magic <"$1" 2>/dev/null || true
    [[ $magic == $'\177ELF' ]]
}
isELF() { _isELF "$1"; }
isScript() {
    local magic
    LC_ALL=C IFS= read -r -d '' -n 2 magic <"$1" 2>/dev/null || true
    [[ $magic == '#!' ]]
}

_strip() {
    if [[ -n ${dontStrip:-} ]] || ! type -p strip >/dev/null; then return 0; fi
    local folders=() folder all=() debug=() file
    concatTo debug stripDebugList='lib' stripDebugListExtra
    if [[ -z ${stripDebugList:-} ]]; then debug=(lib lib32 lib64 libexec bin sbin); fi
    concatTo all stripAllList
    for folder in "${debug[@]}"; do [[ -e $prefix/$folder ]] && folders+=("$prefix/$folder"); done
    if ((${#folders[@]})); then
        echo "stripping (with command strip and flags ${stripDebugFlags:--S -p}) in ${folders[*]}"
        _stripIn "${stripDebugFlags:--S -p}" "${folders[@]}"
    fi
    folders=()
    for folder in ${all[@]+"${all[@]}"}; do [[ -e $prefix/$folder ]] && folders+=("$prefix/$folder"); done
    if ((${#folders[@]})); then _stripIn "${stripAllFlags:--s -p}" "${folders[@]}"; fi
}
_stripIn() { # FLAGS FOLDER…
    local flags=$1 file
    shift
    local -a objects=() exclude=()
    concatTo exclude stripExclude
    find "$@" -type f -print0 | while IFS= read -r -d '' file; do
        local pattern skip=
        for pattern in ${exclude[@]+"${exclude[@]}"}; do [[ ${file##*/} == $pattern ]] && skip=1; done
        [[ -n $skip ]] && continue
        if _isELF "$file" || [[ $file == *.a ]]; then printf '%s\0' "$file"; fi
    done | xargs -0r -n32 strip $flags 2>/dev/null || true
}

# --- interpreters of scripts ----------------------------------------------------------------------------------------

# patchShebangs [--build|--host] [--update] PATH…: interpreters by absolute path outside the store become those in PATH
# (--build, for what runs in this build) or of the inputs (--host)
patchShebangs() {
    local search=$PATH update= file
    while (($#)); do
        case $1 in
        --host) search=${HOST_PATH:-$PATH} ;;
        --build) search=$PATH ;;
        --update) update=1 ;;
        --) shift && break ;;
        --*)
            echo "Unknown option $1 supplied to patchShebangs"
            return 1
            ;;
        *) break ;;
        esac
        shift
    done
    (($#)) || return 0
    echo "patching script interpreter paths in $*"
    local line interpreter arguments program found rest stamp
    while IFS= read -r -d '' file; do
        isScript "$file" || continue
        IFS= read -r line <"$file" || [[ -n $line ]] || continue
        line=${line%$'\r'}
        read -r interpreter arguments <<<"${line#\#!}" || true
        if [[ $interpreter == */env ]]; then
            if [[ $arguments == -S* ]]; then
                arguments=${arguments#-S}
                read -r program rest <<<"$arguments" || true
                rest="-S_${rest}"
            elif [[ $arguments == -* || $arguments == *=* ]]; then
                nixErrorLog "$file: unsupported interpreter directive \"$line\" (set dontPatchShebangs=1 and handle shebang patching yourself)"
                return 1
            else
                read -r program rest <<<"$arguments" || true
            fi
            rest=${rest#-S_}
            found=$(PATH=$search type -P "$program" || true)
        else
            program=${interpreter##*/}
            rest=$arguments
            found=$(PATH=$search type -P "$program" || true)
        fi
        if [[ $interpreter == "$NIX_STORE"/* && -z $update ]]; then continue; fi
        if [[ -z $found ]]; then continue; fi
        local new="#!$found${rest:+ $rest}"
        if [[ $new != "$line" ]]; then
            echo "$file: interpreter directive changed from \"$line\" to \"$new\""
            stamp=$(stat -c %y "$file")
            local text writable=1
            _readWhole text "$file"
            text=$new${text#"$line"}
            [[ -w $file ]] || writable=
            [[ -n $writable ]] || chmod u+w "$file"
            printf '%s' "$text" >"$file"
            [[ -n $writable ]] || chmod u-w "$file"
            touch --date "$stamp" "$file"
        fi
    done < <(find "$@" -type f -perm -0100 -print0)
}
_patchShebangsOutput() {
    if [[ -z ${dontPatchShebangs:-} && -e $prefix ]]; then patchShebangs --host "$prefix"; fi
}

# --- libraries of programs ------------------------------------------------------------------------------------------

_shrinkRunpaths() {
    if [[ -n ${dontPatchELF:-} ]] || ! type -p patchelf >/dev/null; then return 0; fi
    local file
    find "$prefix" -type f \( -perm -0100 -o -name '*.so' -o -name '*.so.*' \) -print0 | while IFS= read -r -d '' file; do
        _isELF "$file" || continue
        # only the store's folders may stay: not the build folder's
        patchelf --shrink-rpath --allowed-rpath-prefixes "$NIX_STORE" "$file" 2>/dev/null || true
    done
}

# A RUNPATH or a wrapper that leads into the build folder works here and nowhere else.
_auditBuildFolder() {
    if [[ -n ${noAuditTmpdir:-} || -z ${TMPDIR:-} || $TMPDIR == /tmp ]] || ! type -p patchelf >/dev/null; then return 0; fi
    local file bad=
    while IFS= read -r -d '' file; do
        if _isELF "$file" && [[ $(patchelf --print-rpath "$file" 2>/dev/null) == *"$TMPDIR/"* ]]; then
            echo "RPATH of binary $file contains a forbidden reference to $TMPDIR/"
            bad=1
        fi
    done < <(find "$prefix" -type f -perm -0100 -print0)
    [[ -z $bad ]] || exit 1
}

# Absolute links within an output become relative, so that the output can be copied as a whole.
_relativeLinks() {
    if [[ -n ${dontRewriteSymlinks:-} ]]; then return 0; fi
    local link target
    while IFS= read -r -d '' link; do
        target=$(readlink "$link")
        if [[ $target == "$prefix" || $target == "$prefix"/* ]]; then
            ln -snrf "$target" "$link"
        fi
    done < <(find "$prefix" -type l -print0)
}

_removeLibtoolFiles() {
    if [[ -z ${dontPruneLibtoolFiles:-} ]]; then
        find "$prefix" -type f -name '*.la' -exec sed -i "/^dependency_libs='[^']*'/s:.*:dependency_libs='':" {} +
    fi
}

appendToVar fixupOutputHooks _moveSbin _moveLib64 _moveSystemdUserUnits _removeLibtoolFiles _relativeLinks _shrinkRunpaths \
    _strip _patchShebangsOutput _compressManPages _auditBuildFolder
