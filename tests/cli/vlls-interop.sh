#!/bin/sh
# SPDX-License-Identifier: MIT
# vlls-interop.sh -- stock tools read what the writer writes, and list what vlls lists.
. "$(dirname "$0")/lib.sh"
MK=$BIN/../tests/mk_shard
PY=/usr/bin/python3

run 0 "$MK" a.tar.zst -n 5 -b 300000 -s 2 -p a
run 0 "$MK" - -n 3 -p b
cp "$OUT" b.tar.zst
cat a.tar.zst b.tar.zst >ab.tar.zst

# member names as vlls gives them, metadata aside
names() { vlls "$@" | tr '\t' ' ' | awk '{ for (i = 3; i <= NF; i++) { sub(/=.*/, "", $i); print $1 "." $i } }'; }
plain() { grep -v '^__vl__/' || :; }

for f in a b ab; do
    names $f.tar.zst >$f.want
    ok "zstd -t $f" zstd -tq $f.tar.zst
    tar --zstd -tf $f.tar.zst | plain >$f.tar
    same $f.want $f.tar
    bsdtar -tf $f.tar.zst | plain >$f.bsd
    same $f.want $f.bsd
    zstd -dcq $f.tar.zst | "$PY" -c '
import sys, tarfile
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as t:
    for m in t:
        assert len(t.extractfile(m).read()) == m.size
        print(m.name)' | plain >$f.py
    same $f.want $f.py
    zstd -dcq $f.tar.zst | busybox tar -tf - 2>busybox.err | plain >$f.busy || :
    same $f.want $f.busy
done
ok 'cat lists both' test "$(wc -l <ab.want)" -eq $(($(wc -l <a.want) + $(wc -l <b.want)))

mkdir x
ok 'tar unpacks' tar --zstd -C x -xf ab.tar.zst
for s in x/__vl__/.sums.*; do
    ok "xxhsum -c ${s##*/}" sh -c 'cd x && xxhsum -cq "${1#x/}"' - "$s"
done
ok 'three lists of sums' test "$(ls x/__vl__/.sums.* | wc -l)" -eq 3
chmod u+w x/a-0-000001.txt && echo >>x/a-0-000001.txt
no 'xxhsum sees a changed file' sh -c 'cd x && cat __vl__/.sums.* | xxhsum -cq -'

# the content id is the SHA-256 of the DATA tar bytes: the stream without its metadata members
run 0 vlls --manifest --json b.tar.zst
id=$(sed 's/.*"content_id":"\([0-9a-f]*\)".*/\1/' "$OUT")
bytes=$(sed 's/.*"bytes":\([0-9]*\).*/\1/' "$OUT")
ok 'content id by sha256sum' test "$id" = \
    "$(zstd -dcq b.tar.zst | tail -c +1025 | head -c "$bytes" | sha256sum | cut -d' ' -f1)"
run 0 vlls --check ab.tar.zst
out_like '^ab.tar.zst	ok	pairs	segments=3 records=13 '

# a file, a pipe and several operands say the same
vlls a.tar.zst b.tar.zst >two.txt
vlls ab.tar.zst >one.txt
same one.txt two.txt
vlls <ab.tar.zst >file.txt
same one.txt file.txt
cat ab.tar.zst | vlls - >pipe.txt
same one.txt pipe.txt
run 0 vlls --json b.tar.zst
out_like '^\{"bytes":1037,"file":"b.tar.zst","key":"b-0-000000","kind":"pairs","members":\{"jpg":1000,"json":27,"txt":10\},"segment":0\}$'
run 0 vlls --manifest a.tar.zst
out_is '{"first_key":"a-0-000000","format":1,"kind":"pairs","ordinal":0,"seed":1,"tool":"mk_shard"}
{"first_key":"a-1-000000","format":1,"kind":"pairs","ordinal":1,"seed":1,"tool":"mk_shard"}'

# long and foreign names
long=$(printf 'l%.0s' $(seq 1 140))
run 0 "$MK" long.tar.zst -p "ordner/ä-$long"
names long.tar.zst >long.want
tar --zstd -tf long.tar.zst --quoting-style=literal | plain >long.tar
same long.want long.tar
zstd -dcq long.tar.zst | PYTHONIOENCODING=utf-8 "$PY" -c '
import sys, tarfile
for m in tarfile.open(fileobj=sys.stdin.buffer, mode="r|", encoding="utf-8"): print(m.name)' | plain >long.py
same long.want long.py
mkdir y
ok 'tar unpacks long names' tar --zstd -C y -xf long.tar.zst
ok 'xxhsum -c of long names' sh -c 'cd y && xxhsum -cq __vl__/.sums.*'
