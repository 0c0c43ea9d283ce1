# Lets Cargo find the crates of $cargoDeps, and checks that they are those of the project's Cargo.lock.

cargoSetupPostUnpackHook() {
    if [[ -z ${cargoDeps:-} ]]; then return 0; fi
    # a folder of its own, since build scripts may write beside their sources
    cargoDepsCopy=$NIX_BUILD_TOP/cargo-vendor-dir
    cp -rL --reflink=auto -- "$cargoDeps" "$cargoDepsCopy"
    chmod -R u+w -- "$cargoDepsCopy"
    mkdir -p "$NIX_BUILD_TOP/.cargo"
    local config
    config=$(<"$cargoDepsCopy/.cargo/config.toml")
    printf '%s\n' "${config//@vendor@/$cargoDepsCopy}" >"$NIX_BUILD_TOP/.cargo/config.toml"
    export CARGO_HOME=$NIX_BUILD_TOP/.cargo
}

cargoSetupPostPatchHook() {
    if [[ -z ${cargoDeps:-} ]]; then return 0; fi
    local lock=${cargoRoot:+$cargoRoot/}Cargo.lock
    if [[ ! -e $lock ]]; then
        echo "the source has no $lock; Cargo writes it: run 'cargo generate-lockfile' and add it to the project"
        exit 1
    fi
    if [[ -e $cargoDepsCopy/Cargo.lock ]] && ! cmp -s "$lock" "$cargoDepsCopy/Cargo.lock"; then
        echo "the project's $lock and the one that its crates were fetched for differ:"
        diff "$cargoDepsCopy/Cargo.lock" "$lock" || true
        echo "where cargoHash is set, update it"
        exit 1
    fi
}

# _cargoFlags ARRAY FEATURES NO_DEFAULTS TYPE: what building and testing share
_cargoFlags() {
    local -n _flags=$1
    local _features=$2 _bare=$3 _type=$4
    _flags=(-j "$NIX_BUILD_CORES" --target @target@ --offline)
    case $_type in
    debug) ;;
    release) _flags+=(--release) ;;
    *) _flags+=(--profile "$_type") ;;
    esac
    if [[ -n $_bare ]]; then _flags+=(--no-default-features); fi
    if [[ -n $_features ]]; then _flags+=("--features=${_features// /,}"); fi
}

postUnpackHooks+=(cargoSetupPostUnpackHook)
postPatchHooks+=(cargoSetupPostPatchHook)
