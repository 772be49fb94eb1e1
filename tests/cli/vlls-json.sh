#!/bin/sh
# SPDX-License-Identifier: MIT
# vlls-json.sh -- vlls --json prints lines of JSON whatever the shards and their files are called: bytes that are not
# UTF-8 come as \xNN.
. "$(dirname "$0")/lib.sh"
V=$TOP/spec/vectors
PY=/usr/bin/python3

# ---- a line for every shard of the vectors, good or bad ----
ls "$V"/good/* "$V"/bad/* >files
# shellcheck disable=SC2046
vlls --check --json $(cat files) >lines 2>messages || :
"$PY" - files lines messages >verdict <<'END'
import json, sys
files = open(sys.argv[1]).read().split('\n')[:-1]
lines = [json.loads(line) for line in open(sys.argv[2], encoding='utf-8')]
assert [line['file'] for line in lines] == files
bad = [line for line in lines if not line['ok']]
assert all(line['error'].startswith(line['file'] + ': ') for line in bad)
assert all('/good/' in line['file'] or not line['ok'] or '/vlt-' in line['file'] or '/npy' in line['file']
           or '/sign' in line['file'] for line in lines)
print(len(lines) > 580, len(bad) > 400)
END
ok 'a line for each of the vectors' grep -qx 'True True' verdict
ok 'no line is missing for want of memory' sh -c '! grep "out of memory" messages'
run 1 vlls --check --json "$V/bad/names-latin1.tar.zst"
out_like '"error":"[^"]*member .gr\\\\xf6sse\.txt.: key is not UTF-8 \(byte 2\)"'

# ---- manifests and tails of all good ones ----
# shellcheck disable=SC2046
vlls --manifest --json "$V"/good/* >lines 2>messages
"$PY" -c 'import json, sys; print(len([json.loads(line)["manifest"] for line in open(sys.argv[1], encoding="utf-8")]))' \
    lines >count
same count /dev/stdin <<END
$(vlls --check --json "$V"/good/* | "$PY" -c 'import json, sys; print(sum(json.loads(line)["segments"] for line in sys.stdin))')
END
same messages /dev/null

# ---- a file's name that is not UTF-8 ----
name=$(printf 'na\337.tar.zst')
if cp "$V/good/min.tar.zst" "$name" 2>/dev/null; then
    head -c 400 "$name" >"$(printf 'cut-\337.tar.zst')"
    run 0 vlls --json "$name"
    out_like '^{"bytes":10,"file":"na\\\\xdf.tar.zst","key":"boat",'
    run 0 vlls --manifest --json "$name"
    out_like '^{"file":"na\\\\xdf.tar.zst","manifest":{'
    run 0 vlls --check --json "$name"
    out_like '"file":"na\\\\xdf.tar.zst",.*"ok":true'
    run 0 vlls --recipe --json "$name"
    out_like '"file":"[^"]*na\\\\xdf.tar.zst"'
    run 1 vlls --check --json "$(printf 'cut-\337.tar.zst')"
    out_like '^{"error":"cut-\\\\xdf.tar.zst: truncated: no seek table, file ends at byte 400","file":"cut-\\\\xdf.tar.zst","ok":false}$'
fi
