#!/bin/sh
# SPDX-License-Identifier: MIT
# vectors.sh -- every shard of spec/vectors is read, or refused, as EXPECT.tsv says.
#
# A line of EXPECT.tsv: file, how it is read, exit status, the keys that come out, the message. How:
#   file, pipe            vlls --json FILE, and from a named pipe; file+skip, pipe+skip: with --skip-bad
#   verify                vlls --verify signed.pub FILE
#   tensors               vlcat --plain --to npz FILE: all arrays are decoded
# Keys are parted by commas, a dash is none. A message is a regular expression for the whole text behind
# "vlls: FILE: "; a dash is none. Ways that agree share a line.
# `REDO=1 sh tests/vectors.sh` writes EXPECT.tsv anew from what the tools say, for review in the diff.
. "$(dirname "$0")/cli/lib.sh"
V=$TOP/spec/vectors
PY=/usr/bin/python3

# What the readers say of all files, in the form of EXPECT.tsv.
run 0 "$PY" -B "$TOP/tests/vectors.py" "$V"
cp "$OUT" seen
if [ "${REDO:-}" = 1 ]; then cp seen "$V/EXPECT.tsv"; fi

# One line for each file, with what is not as it should be.
"$PY" -B "$TOP/tests/vectors.py" --compare "$V/EXPECT.tsv" seen >verdicts
while IFS='	' read -r rc name text; do
    t_result "$rc" "$name"
    [ "$rc" -eq 0 ] || printf '%s\n' "$text" | tr '|' '\n' | sed 's/^/#   /'
done <verdicts
ok 'many more bad than good' test "$(ls "$V/bad" | wc -l)" -gt $((4 * $(ls "$V/good" | wc -l)))
ok 'all vectors together are under 750 KB' test "$(cat "$V"/good/* "$V"/bad/* | wc -c)" -lt 750000

# min.tar.zst is the worked example of FORMAT.md
sed -n 's/^[0-9a-f]\{4\}  \(\([0-9a-f][0-9a-f] \)*[0-9a-f][0-9a-f]\) *|.*/\1/p' "$TOP/FORMAT.md" |
    "$PY" -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' >example.tar.zst
same example.tar.zst "$V/good/min.tar.zst"

# The twins hold the same, whatever the carrier and the filter.
twin() { # A B: no difference but in how it is stored
    run 0 vlls --diff "$V/good/$1" "$V/good/$2"
    out_is ''
}
twin min.tar.zst min.tar
twin min.tar.zst min-blocks.tar.zst
twin multi.tar.zst multi.tar
twin multi.tar.zst multi-blocks.tar.zst
for f in "$V"/good/float-*.npy.tar.zst; do
    name=$(basename "$f" .npy.tar.zst)
    for g in "$V/good/$name"*.tar.zst; do
        case $g in *.npy.*) continue ;; esac
        run 0 vlcat -q --plain -o plain.tar.zst "$g"
        vlls --json "$f" | sed 's/"file":"[^"]*"//' >want.json
        vlls --json plain.tar.zst | sed 's/"file":"[^"]*"//' >got.json
        same want.json got.json
        zstd -dcq "$f" | tar -xOf - --wildcards '__vl__/.sums.*' >want.sums
        zstd -dcq plain.tar.zst | tar -xOf - --wildcards '__vl__/.sums.*' >got.sums
        same want.sums got.sums
    done
done

# The second reader: the same verdict and the same keys.
run 0 "$PY" -B "$TOP/tests/vectors.py" --second "$TOP/spec/readshard" "$V" "$V/EXPECT.tsv"
out_is ''
# And what vlcat --skip-bad saves of each is sound to it.
run 0 "$PY" -B "$TOP/tests/vectors.py" --salvaged "$TOP/spec/readshard" "$V" "$V/EXPECT.tsv"
out_unlike '^[^#]'
out_like '^# [0-9]{3} of [0-9]{4} saved$'

# The generator gives the committed bytes again.
if zstd --version | grep -q ' v1\.5\.4,'; then
    run 0 "$PY" -B "$V/make.py" again
    ok 'make.py gives the committed good files' diff -r again/good "$V/good"
    ok 'make.py gives the committed bad files' diff -r again/bad "$V/bad"
    same again/signed.pub "$V/signed.pub"
else
    echo "# the committed files are from zstd 1.5.4, this is another: make.py is not compared"
fi
