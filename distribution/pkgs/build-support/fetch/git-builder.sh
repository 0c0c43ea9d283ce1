# Fetches $revision of the repository $url into $out; without .git, so that the tree's hash is the revision's alone.
export HOME=$TMPDIR
if [ -n "${NIX_GIT_SSL_CAINFO:-}" ]; then export GIT_SSL_CAINFO=$NIX_GIT_SSL_CAINFO; fi
git init --quiet --initial-branch=fetched "$out"
cd "$out"
git remote add origin "$url"
wanted=()
concatTo wanted sparseCheckout
if ((${#wanted[@]})); then git sparse-checkout set "${wanted[@]}"; fi
depth=(--depth=1)
if [ -n "${deepClone:-}" ]; then depth=(); fi
if ! git fetch --quiet "${depth[@]}" origin "$revision"; then
    # a server that gives single revisions to nobody: everything, then look for it
    git fetch --quiet --tags origin '+refs/*:refs/remotes/origin/*'
    git checkout --quiet --detach "$revision"
else
    git checkout --quiet --detach FETCH_HEAD
fi
if [ -n "${fetchSubmodules:-}" ]; then git submodule update --quiet --init --recursive "${depth[@]}"; fi
runHook postFetch
if [ -z "${leaveDotGit:-}" ]; then find "$out" -name .git -print0 | xargs -0 rm -rf; fi
