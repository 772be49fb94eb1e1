#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch.sh -- the demonstration's data, out of the Debian archive, without root
#
#   fetch.sh STATE_DIR
#
# Five packages are downloaded and unpacked (not installed) below STATE_DIR:
#   STATE_DIR/debs/*.deb      as the archive holds them, checked with the signed index's SHA-256
#   STATE_DIR/root/           their contents
#   STATE_DIR/packages.tsv    package, version, bytes, SHA-256; also printed
# apt gets its own state, cache and status, so neither root nor the system's own lists are needed or
# touched; sources, keys, proxy and preferences are the system's. What is there and whole is not
# fetched again: a second run works without a network.
set -u
export LC_ALL=C

PACKAGES='tuxpaint-stamps-default fonts-noto-color-emoji unicode-cldr-core openclipart-png openclipart-svg'

die() { echo "fetch.sh: $*" >&2; exit 1; }
say() { echo "fetch.sh: $*" >&2; }

[ $# -eq 1 ] && [ -n "$1" ] || { echo "usage: fetch.sh STATE_DIR" >&2; exit 2; }
for tool in apt-get apt-cache dpkg-deb sha256sum flock; do
    command -v "$tool" >/dev/null || die "no $tool here; the data come from Debian's archive and need its tools"
done
mkdir -p "$1" 2>/dev/null || die "$1: cannot make the folder"
S=$(cd "$1" && pwd) || die "$1: cannot enter"
case $S in *[\"\;]*) die "$S: a path with a quote or semicolon cannot be told to apt" ;; esac
[ -w "$S" ] || die "$S: not writable"
mkdir -p "$S/debs" || die "$S/debs: cannot make the folder"

exec 9>"$S/lock" || die "$S/lock: cannot write"
flock -n 9 || { say "waiting for another run in $S"; flock 9; }

# The deb of PACKAGE, VERSION, SHA-256 is there and whole. Sets $deb.
whole() {
    deb=
    for f in "$S/debs/$1"_*.deb; do
        [ -f "$f" ] || continue
        if [ "$(sha256sum < "$f")" = "$3  -" ]; then deb=$f; return 0; fi
    done
    return 1
}

# True if packages.tsv names every package and each file still has its sum.
all_whole() {
    [ -f "$S/packages.tsv" ] || return 1
    for p in $PACKAGES; do
        line=$(grep "^$p	" "$S/packages.tsv") || return 1
        IFS='	' read -r name version bytes sum <<-END
		$line
		END
        whole "$name" "$version" "$sum" || { say "$p $version: missing or broken, fetching anew"; return 1; }
    done
}

# A configuration of our own. apt reads $APT_CONFIG first, then the parts: the system's, copied so that
# the last can clear the hooks (which write to the system's folders and would fail without root).
configure() {
    rm -rf "$S/apt" && mkdir -p "$S/apt/conf.d" "$S/apt/state/lists/partial" "$S/apt/cache/archives/partial" ||
        die "$S/apt: cannot make the folders"
    : > "$S/apt/status"
    for f in /etc/apt/apt.conf.d/* /etc/apt/apt.conf; do
        if [ -f "$f" ] && [ -r "$f" ]; then cp "$f" "$S/apt/conf.d/" || die "$S/apt: cannot write"; fi
    done
    cat > "$S/apt/conf.d/zzz-private" <<-'END'
	#clear APT::Update::Pre-Invoke;
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	#clear Acquire::IndexTargets::deb::DEP-11;
	#clear Acquire::IndexTargets::deb::CNF;
	Acquire::Languages "none";
	Acquire::Retries "3";
	END
    cat > "$S/apt/apt.conf" <<-END
	Dir::Etc::Parts "$S/apt/conf.d";
	Dir::State "$S/apt/state";
	Dir::State::status "$S/apt/status";
	Dir::Cache "$S/apt/cache";
	END
    export APT_CONFIG="$S/apt/apt.conf"
}

# The candidate of package $1 in the indices. Sets $version $bytes $sum.
candidate() {
    version=$(apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p')
    [ -n "$version" ] && [ "$version" != '(none)' ] || return 1
    show=$(apt-cache show --no-all-versions "$1=$version" 2>/dev/null) || return 1
    bytes=$(printf '%s\n' "$show" | sed -n 's/^Size: //p' | head -n 1)
    sum=$(printf '%s\n' "$show" | sed -n 's/^SHA256: //p' | head -n 1)
    [ -n "$bytes" ] && [ ${#sum} -eq 64 ]
}

# Brings one package; leaves exactly one file of it, whole, or dies.
download() {
    candidate "$1" ||
        die "$1: not in the package lists; sources: /etc/apt/sources.list, sources.list.d (update said: $(tail -n 1 "$S/update.log"))"
    if whole "$1" "$version" "$sum"; then
        say "$1 $version: already here"
    else
        rm -f "$S/debs/$1"_*.deb
        say "$1 $version: fetching $((bytes / 1000000)) MB"
        (cd "$S/debs" && apt-get -q download "$1=$version") > "$S/download.log" 2>&1 ||
            die "$1 $version: download failed: $(grep '^E:' "$S/download.log" | head -n 1)"
        whole "$1" "$version" "$sum" || die "$1 $version: SHA-256 differs from the package index"
    fi
    for f in "$S/debs/$1"_*.deb; do [ "$f" = "$deb" ] || rm -f "$f"; done
    printf '%s\t%s\t%s\t%s\n' "$1" "$version" "$bytes" "$sum" >> "$S/packages.tsv.tmp"
}

fetch() {
    configure
    say "updating package lists in $S/apt"
    # One dead third-party source must not stop us: what counts is that the candidates are found below.
    apt-get -q update > "$S/update.log" 2>&1 || say "apt-get update: $(grep '^[EW]:' "$S/update.log" | head -n 1)"
    : > "$S/packages.tsv.tmp"
    for p in $PACKAGES; do download "$p"; done
    mv "$S/packages.tsv.tmp" "$S/packages.tsv" || die "$S/packages.tsv: cannot write"
    rm -rf "$S/apt" "$S/update.log" "$S/download.log"
}

# Unpacks beside, then renames: a folder called root is complete, and its stamp says of what.
unpack() {
    if cmp -s "$S/packages.tsv" "$S/root/.packages.tsv"; then return; fi
    rm -rf "$S/root" "$S/root.tmp"
    mkdir "$S/root.tmp" || die "$S/root.tmp: cannot make the folder"
    while IFS='	' read -r name version bytes sum; do
        whole "$name" "$version" "$sum" || die "$name $version: broken after download"
        dpkg-deb -x "$deb" "$S/root.tmp" 2> "$S/unpack.log" ||
            die "$name $version: cannot unpack: $(head -n 1 "$S/unpack.log")"
    done < "$S/packages.tsv"
    cp "$S/packages.tsv" "$S/root.tmp/.packages.tsv" && mv "$S/root.tmp" "$S/root" || die "$S/root: cannot write"
    rm -f "$S/unpack.log"
}

if all_whole; then say "all packages are here and whole"; else fetch; fi
unpack
cat "$S/packages.tsv"
