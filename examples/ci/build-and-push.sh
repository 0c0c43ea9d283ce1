#!/usr/bin/env bash
# Builds and checks a flake and pushes what was built to a binary cache: what the workflows beside this file run, and what can be
# run by hand. Any Nix will do: `nix` is all it calls.
#
#   CACHE=file:///srv/cache examples/ci/build-and-push.sh [FLAKE]
#
# CACHE           where to push to: file:///folder, s3://bucket?region=eu-central-1 (with &endpoint=… for other services than
#                 Amazon's; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are read from the environment), ssh://host; nothing is
#                 pushed without it
# CACHE_KEY       the secret key that signs what is pushed (`nix key generate-secret --key-name cache.example.org-1` makes one;
#                 users have the public half in trusted-public-keys)
# CACHE_KEY_FILE  the same as a file
set -euo pipefail

flake=${1:-.}

# a message above what follows, which the services fold under it
step() { printf '\n== %s\n' "$*"; }

step "check $flake"
nix flake check --print-build-logs "$flake"

# what `nix build` and `nix develop` of a user would have to build
step "build the packages and the development shells"
system=$(nix eval --raw --impure --expr builtins.currentSystem)
installables=()
for output in packages devShells; do
  names=$(nix eval --raw "$flake#$output.$system" --apply 'set: toString (builtins.attrNames set)' 2>/dev/null || true)
  for name in $names; do installables+=("$flake#$output.$system.$name"); done
done
if ((${#installables[@]} == 0)); then
  echo "the flake has neither packages nor devShells for $system; there is nothing to push"
  exit 0
fi
paths=$(nix build --no-link --print-out-paths --print-build-logs "${installables[@]}")
printf '%s\n' "$paths"

if [ -z "${CACHE:-}" ]; then
  echo "CACHE is not set; nothing is pushed"
  exit 0
fi

step "push to ${CACHE%%\?*}"
if [ -n "${CACHE_KEY:-}" ] && [ -z "${CACHE_KEY_FILE:-}" ]; then
  # only this user can read it, and it goes when the script ends
  CACHE_KEY_FILE=$(umask 077; mktemp)
  trap 'rm -f "$CACHE_KEY_FILE"' EXIT
  printf '%s' "$CACHE_KEY" > "$CACHE_KEY_FILE"
fi
if [ -n "${CACHE_KEY_FILE:-}" ]; then
  # shellcheck disable=SC2086
  nix store sign --recursive --key-file "$CACHE_KEY_FILE" $paths
fi
# shellcheck disable=SC2086
nix copy --to "$CACHE" $paths
