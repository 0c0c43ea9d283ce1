# Fetches the first of $urls that works into $out (or $downloadedFile), then runs postFetch.
if [ -n "${netrcPhase:-}" ]; then eval "$netrcPhase"; fi

downloadedFile=$out
if [ -n "${downloadToTemp:-}" ]; then downloadedFile=$TMPDIR/file; fi

options=(--location --max-redirs 20 --retry 3 --fail --show-error --silent)
concatTo options curlOptsList curlOpts
list=()
concatTo list urls

if [ -n "${showURLs:-}" ]; then
    printf '%s\n' "${list[@]}" >"$out"
    exit 0
fi

done=
for address in "${list[@]}"; do
    echo "trying $address"
    if curl "${options[@]}" --output "$downloadedFile" "$address"; then
        done=1
        break
    fi
done
if [ -z "$done" ]; then
    echo "error: cannot download $name from any mirror" >&2
    exit 1
fi

if [ -n "${executable:-}" ]; then chmod +x "$downloadedFile"; fi
runHook postFetch
