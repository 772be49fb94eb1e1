#!/bin/sh
# SPDX-License-Identifier: MIT
# deps.sh -- the Debian packages that building, testing and the demonstration need.
#
#   deps.sh install GROUP...   groups: build test demo; prints the apt line when something is missing,
#                              then runs it as root or by sudo without a password; else exits 1
#   deps.sh list GROUP...      prints the names
#
# libopenblas-pthread-dev on purpose: BLAS is always called with one thread from threads of ours, and
# the OpenMP build would start a pool for each of them.
set -eu

build='gcc libc6-dev make pkg-config libzstd-dev libxxhash-dev libjpeg62-turbo-dev libpng-dev libwebp-dev zlib1g-dev
    libopenblas-pthread-dev libjansson-dev libutf8proc-dev libssl-dev libarchive-dev'
test='perl libcmocka-dev zstd xxhash libarchive-tools busybox python3 python3-numpy groff-base openssl binutils'
demo='python3 python3-fonttools python3-pil python3-numpy'

what=$1
shift
wanted=
for group in "$@"; do
    case $group in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test" ;;
    demo) wanted="$wanted $demo" ;;
    *)
        echo "deps.sh: no group '$group'" >&2
        exit 2
        ;;
    esac
done
# shellcheck disable=SC2086
wanted=$(printf '%s\n' $wanted | sort -u | tr '\n' ' ')

if [ "$what" = list ]; then
    echo "$wanted"
    exit 0
fi
if ! command -v dpkg-query >/dev/null; then
    echo "not a Debian system; what Debian calls these packages must be there: $wanted" >&2
    exit 0 # the build itself says what is missing
fi
# shellcheck disable=SC2086
have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p') || :
missing=
for p in $wanted; do
    case "
$have
" in
    *"
$p
"*) ;;
    *) missing="$missing $p" ;;
    esac
done
[ -n "$missing" ] || exit 0

line="apt-get update && apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" -eq 0 ]; then
    as=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as='sudo -n '
else
    echo "packages are missing, and installing them needs root:" >&2
    echo "  $line" >&2
    exit 1
fi
echo "$line"
# shellcheck disable=SC2086
${as}env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null
# shellcheck disable=SC2086
${as}env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing </dev/null
