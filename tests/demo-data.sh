#!/bin/sh
# SPDX-License-Identifier: MIT
# The demonstration's preparation (tests/experiments/demo), on made-up inputs: one TAP line a test.
cd "$(dirname "$0")/experiments/demo" || exit 1
export PYTHONDONTWRITEBYTECODE=1
python=/usr/bin/python3
if ! $python -c 'import PIL, numpy' 2>/dev/null; then
    echo "1..0 # SKIP python3-pil and python3-numpy are not installed"
    exit 0
fi
# unittest -v prints "name (where) ... ok|FAIL|ERROR|skipped 'why'"; the rest of its output explains.
$python test_pairs.py -v 2>&1 | awk '
    / \.\.\. (ok|FAIL|ERROR|skipped.*)$/ {
        n++; good = / \.\.\. (ok|skipped.*)$/
        why = /skipped/ ? " # SKIP" : ""
        bad += !good; print (good ? "ok " : "not ok ") n " - " $1 why; next }
    /^OK/ { done = 1 }
    /^FAILED/ { done = 1; failed = 1 }
    { print "# " $0 }
    END { if (!done || failed && !bad) print "not ok " ++n " - the test program ran to its end"; print "1.." n; exit bad || !done || failed }'
