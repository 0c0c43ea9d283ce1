# Reads the closure that exportReferencesGraph left in .attrs.json.
source .attrs.sh
out=${outputs[out]}
export PATH=$coreutils/bin:$jq/bin
mkdir "$out"
jq -r '.closure | map(.narSize) | add // 0' <.attrs.json >"$out/total-nar-size"
# the format of `nix-store --load-db`: path, NAR hash, NAR size, deriver (none), number of references, references
jq -r '.closure | sort_by(.path)[] | [.path, .narHash, .narSize, "", (.references | length)] + .references | .[]' <.attrs.json >"$out/registration"
jq -r '.closure[].path' <.attrs.json | sort >"$out/store-paths"
