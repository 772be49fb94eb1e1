#!/bin/bash
# SPDX-License-Identifier: MIT
# vlcat-memory.sh -- memory does not follow the bytes of the records: ten times as many of them, the same peak.
. "$(dirname "$0")/lib.sh"
MK=$BIN/../tests/mk_shard
# The address sanitizer keeps what was freed, 256 MB of it by default.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=4"
"$MK" small.tar.zst -n 20 -b 1000000
"$MK" big.tar.zst -n 200 -b 1000000
cat >peak.py <<'END'
import resource, subprocess, sys
rc = subprocess.call(sys.argv[1:], stdin=sys.stdin)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(rc)
END
peak() { /usr/bin/python3 peak.py "$@"; }
# flat OPTIONS...: as a file and as a pipe
flat() {
    rm -rf out*
    small=$(peak vlcat -q "$@" small.tar.zst)
    rm -rf out*
    big=$(peak vlcat -q "$@" big.tar.zst)
    rm -rf out*
    pipe=$(cat big.tar.zst | peak vlcat -q "$@" -)
    echo "# $*: $small KiB for 20 MB, $big and $pipe KiB for 200 MB"
    ok "flat: $*" test "$big" -lt $((small + 16384)) -a "$pipe" -lt $((small + 16384)) -a "$big" -lt 131072
}
flat -o out.tar.zst
flat -o out.tar
flat -o out/
flat --reseal -o out.tar.zst
flat --shuffle 1 -o out.tar.zst
flat --part 1/3 --drop txt -o out.tar.zst
flat --shard-size 30M -o out-%d.tar.zst
# arrays: 64 MB of them
rm -rf out* small.tar.zst big.tar.zst
python3 "$TOP/tests/data/make_pairs.py" 2000 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
vlembed -q --text-model hash8000 -o big.tar.zst pairs.tar.zst
vlcat -q --head 100 -o small.tar.zst big.tar.zst
flat --stack --to npz -o out
flat --to safetensors -o out
rm -f out*
# a sidecar in another order, kept in a file
vlcat -q --shuffle 1 -o shuffled.tar.zst big.tar.zst
a=$(peak vlcat -q --join big.tar.zst -o out pairs.tar.zst)
b=$(peak vlcat -q --join shuffled.tar.zst -o out pairs.tar.zst)
echo "# joined in order: $a KiB, out of order: $b KiB"
ok 'a join out of order keeps keys only' test "$b" -lt $((a + 16384))
