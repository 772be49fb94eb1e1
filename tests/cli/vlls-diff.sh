#!/bin/bash
# SPDX-License-Identifier: MIT
# vlls-diff.sh -- what differs between two shards; many shards checked at a time; the whole of --json.
. "$(dirname "$0")/lib.sh"
MK=$BIN/../tests/mk_shard
id_of() { vlls --check "$1" | cut -f 5; }
"$MK" a.tar.zst -n 4 -b 100
"$MK" b.tar.zst -n 5 -b 100
"$MK" c.tar.zst -n 4 -b 120
"$MK" e.tar.zst -n 4 -b 100 -k embeddings

run 0 vlls --diff a.tar.zst a.tar.zst
out_is ''
run 1 vlls --diff a.tar.zst b.tar.zst
out_is 'record	rec-0-000004	-	pairs'
run 1 vlls --diff b.tar.zst a.tar.zst
out_is 'record	rec-0-000004	pairs	-'
run 1 vlls --diff a.tar.zst c.tar.zst
out_like '^member	rec-0-000000.jpg	100 bytes, [0-9a-f]{16}	120 bytes, [0-9a-f]{16}$'
ok 'four members' test "$(wc -l <"$OUT")" -eq 4
run 1 vlls --diff a.tar.zst e.tar.zst
out_like '^record	rec-0-000000	-	embeddings$'
out_like '^record	rec-0-000000	pairs	-$'
out_like '^manifest	segment 0: kind	"pairs"	"embeddings"$'
vlcat -q --drop txt a.tar.zst >d.tar.zst
run 1 vlls --diff a.tar.zst d.tar.zst
out_like '^member	rec-0-000003.txt	10 bytes, [0-9a-f]{16}	-$'
out_like '^manifest	segment 0: cat	-	\[\{"after":0'
out_like "^manifest	segment 0: parents	\[\]	\[\{\"content_id\":\"$(id_of a.tar.zst)\""
run 1 vlls --diff d.tar.zst a.tar.zst
out_like '^member	rec-0-000003.txt	-	10 bytes, [0-9a-f]{16}$'
vlcat -q --shuffle 1 -o s.tar.zst a.tar.zst
run 1 vlls --diff a.tar.zst s.tar.zst
out_like '^order	rec-0-00000[0-9]	-	-$'
out_unlike '^(record|member)'
vlcat -q --shard-records 2 -o p-%d.tar.zst a.tar.zst
cat p-?.tar.zst >two.tar.zst
run 1 vlls --diff a.tar.zst two.tar.zst
out_is 'segments	number	1	2'
vlcat -q --to tar -o a.tar a.tar.zst
run 0 sh -c 'vlls --diff a.tar - <a.tar.zst'
run 1 vlls --json --diff a.tar.zst b.tar.zst
out_is '{"a":null,"b":"pairs","what":"record","where":"rec-0-000004"}'
run 2 vlls --diff a.tar.zst
run 2 vlls --diff a.tar.zst b.tar.zst c.tar.zst
run 2 vlls --diff --check a.tar.zst b.tar.zst
head -c 700 b.tar.zst >cut.tar.zst
run 1 vlls --diff a.tar.zst cut.tar.zst
err_is 'vlls: cut.tar.zst: truncated: no seek table, file ends at byte 700'
run 1 sh -c 'vlls --diff a.tar.zst b.tar.zst >/dev/full'
err_is 'vlls: standard output: No space left on device'

# many shards: the same lines at any -j, in order; a bad one does not stop the others
for i in $(seq -w 0 19); do "$MK" n-$i.tar.zst -n 3 -p "n$i" -b 20000; done
head -c 10000 n-07.tar.zst >x && mv x n-07.tar.zst
run 1 vlls --check -j1 'n-{00..19}.tar.zst'
cp "$OUT" one
cp "$ERR" one.err
run 1 vlls --check -j4 'n-{00..19}.tar.zst'
same one "$OUT"
same one.err "$ERR"
ok 'nineteen lines' test "$(wc -l <one)" -eq 19
err_is 'vlls: n-07.tar.zst: truncated: no seek table, file ends at byte 10000'
ls n-*.tar.zst >list
run 1 vlls --check @list
same one "$OUT"
run 1 vlls --check --json -j4 'n-{06..08}.tar.zst'
out_like '^\{"bad_frames":0,"content_id":"[0-9a-f]{64}","file":"n-06.tar.zst",.*"kind":"pairs","licence":null,"licences":null,"lost_records":0,"ok":true,"parents":\[\],.*"records":3,"segments":1,"sources":null\}$'
out_like '^\{"error":"n-07.tar.zst: truncated: no seek table, file ends at byte 10000","file":"n-07.tar.zst","ok":false\}$'
ok 'valid JSON' sh -c 'python3 -c "import json, sys; [json.loads(l) for l in sys.stdin]" <"$1"' - "$OUT"
run 0 sh -c 'cat n-00.tar.zst | vlls --check -j4 n-01.tar.zst - n-02.tar.zst | cut -f 1'
out_is 'n-01.tar.zst
-
n-02.tar.zst'
run 0 vlls --json n-00.tar.zst
out_like '^\{"bytes":[0-9]+,"file":"n-00.tar.zst","key":"n00-0-000000","kind":"pairs","members":\{"jpg":20000,"json":[0-9]+,"txt":10\},"segment":0\}$'
run 0 vlls --manifest --check n-00.tar.zst n-01.tar.zst
ok 'a manifest, then its shard' test "$(cut -c 1-13 "$OUT" | tr '\n' ' ')" = '{"first_key": n-00.tar.zst	 {"first_key": n-01.tar.zst	 ' -o "$(grep -c '^{' "$OUT")" -eq 2
{ vlls --check n-0[0-6].tar.zst 2>closed.err || echo $? >closed.rc; } | true
ok 'quiet when the pipe closes' test ! -s closed.err -a ! -e closed.rc
