#!/bin/sh
# SPDX-License-Identifier: MIT
# vlls-basic.sh -- lists, manifests and JSON; a file, a pipe and several operands say the same.
. "$(dirname "$0")/lib.sh"
MK=$BIN/../tests/mk_shard

run 0 "$MK" a.tar.zst -n 5 -b 300000 -s 2 -p a
run 0 "$MK" - -n 3 -p b
cp "$OUT" b.tar.zst
cat a.tar.zst b.tar.zst >ab.tar.zst

run 0 vlls --check ab.tar.zst
out_like '^ab.tar.zst	ok	pairs	segments=3 records=13 '
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
