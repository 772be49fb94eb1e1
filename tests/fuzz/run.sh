#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh -- libFuzzer over the targets, one after the other:   run.sh BUILD SECONDS [NAME...]
#
# Starts from tests/fuzz/corpus/NAME, writes new inputs to BUILD/corpus/NAME and what it finds to BUILD/found.
# Goes on with the next target after a finding; exits 1 when there was one.
#   MERGE=1   afterwards, a set of inputs with the same coverage replaces tests/fuzz/corpus/NAME: at most 60, of all
#             sizes up to 4096 bytes
set -eu
build=$1 seconds=$2
shift 2
here=$(dirname "$0")
# shellcheck disable=SC2046,SC2012  # names of our own files
[ $# -gt 0 ] || set -- $(cd "$here" && ls f_*.c | sed 's/^f_//; s/\.c$//')
mkdir -p "$build/found"
bad=0
for name in "$@"; do
    mkdir -p "$build/corpus/$name" "$here/corpus/$name"
    dict=$here/$name.dict
    echo "== $name"
    "$build/fuzz/f_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="$build/found/$name-" ${dict:+$([ -f "$dict" ] && echo "-dict=$dict")} \
        "$build/corpus/$name" "$here/corpus/$name" >"$build/$name.log" 2>&1 || bad=1
    grep -E 'stat::number_of_executed_units|ERROR|SUMMARY|does not hold|runtime error' "$build/$name.log" || :
    if [ -n "${MERGE:-}" ]; then
        rm -rf "$build/merged" && mkdir "$build/merged"
        "$build/fuzz/f_$name" -set_cover_merge=1 -max_len=4096 "$build/merged" "$here/corpus/$name" \
            "$build/corpus/$name" >>"$build/$name.log" 2>&1
        rm -f "$here/corpus/$name"/*
        n=$(ls "$build/merged" | wc -l)
        for f in $(ls -Sr "$build/merged" | awk -v n="$n" 'n <= 60 || int(NR * 60 / n) > int((NR - 1) * 60 / n)'); do
            cp "$build/merged/$f" "$here/corpus/$name/$name-$(echo "$f" | cut -c1-12)"
        done
    fi
done
exit $bad
