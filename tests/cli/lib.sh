# SPDX-License-Identifier: MIT
# lib.sh -- what shell tests are written in; they print TAP for prove. Source it first:
#
#   . "$(dirname "$0")/lib.sh"          # from tests/cli; "$(dirname "$0")/cli/lib.sh" from tests
#   run 0 vlpack -o a.tar.zst a.tsv     # runs it; ok when it exits 0; keeps stdout and stderr
#   out_is 'text'                       # the last run's whole stdout (no argument: standard input)
#   out_like 'regex'  out_unlike 'regex'   # grep -E, some line of stdout
#   err_is 'text'  err_like 'regex'  err_unlike 'regex'   # the same for stderr
#   same a b                            # two files, byte for byte
#   absent 'a.tar.zst' '*.tmp*'         # no such file, patterns quoted
#   present a b                         # files that are there and not empty
#   ok 'what' CMD...                    # any command that must succeed
#   no 'what' CMD...                    # any command that must fail
#   skip 'why'                          # ends the test without failing: something is not there
#   refuses 'regex' TOOL ARG...         # exit 1, one line "TOOL: regex", nothing called out.tar.zst*
#   misused 'regex' TOOL ARG...         # exit 2, a line "TOOL: regex", nothing on stdout or called so
#   system_fails KIB TOOL ARG...        # a full disk, no folder, a closed pipe, files of so many KiB at most
#   ended_by_term PID                   # SIGTERM ends it
#
# The test starts in an empty scratch folder that is removed at its end, under LC_ALL=C, with the
# tools of $BIN first in PATH. $TOP is the tree, $OUT and $ERR are the files of the last run.
# The plan is printed at the end. A test that ran no check fails, one that is cut short fails, and a
# command that fails outside run and no ends it (set -e).
set -eu
LC_ALL=C
export LC_ALL
unset OPENBLAS_CORETYPE OPENBLAS_NUM_THREADS SOURCE_DATE_EPOCH 2>/dev/null || :
TOP=$(cd "$(dirname "$0")" && while [ ! -f Makefile ] && [ "$PWD" != / ]; do cd ..; done; pwd)
BIN=${BIN:-$TOP/build/bin}
PATH=$BIN:$PATH
export TOP BIN PATH
T_SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/vlkit-test.XXXXXX")
T_KEEP=$T_SCRATCH/keep # beside the folder the test works in: its globs must not see these
OUT=$T_KEEP/out
ERR=$T_KEEP/err
T_N=0
T_BAD=0
T_WHOLE=no
mkdir "$T_KEEP" "$T_SCRATCH/work"
: >"$OUT"
: >"$ERR"
cd "$T_SCRATCH/work"

t_end() {
    t_rc=$?
    trap - EXIT
    cd /
    chmod -R u+w "$T_SCRATCH" 2>/dev/null || :
    rm -rf "$T_SCRATCH"
    [ "$T_WHOLE" = skip ] && exit 0
    if [ $t_rc -ne 0 ]; then
        echo "# a command outside run failed with $t_rc; no plan, so prove counts this as a failure"
        exit 1
    fi
    echo "1..$T_N"
    if [ $T_N -eq 0 ]; then
        echo "# this test made no check"
        exit 1
    fi
    [ $T_BAD -eq 0 ] || exit 1
}
trap t_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# t_result 0|1 NAME
t_result() {
    T_N=$((T_N + 1))
    t_name=$(printf '%s' "$2" | tr '\n#' '  ')
    if [ "$1" -eq 0 ]; then
        echo "ok $T_N - $t_name"
    else
        T_BAD=$((T_BAD + 1))
        echo "not ok $T_N - $t_name"
    fi
}

t_show() { # FILE: as TAP comments, cut to what helps
    head -c 2000 "$1" | tr -c '\11\12\40-\176' '?' | sed "s/^/#   /"
}

run() {
    t_want=$1
    shift
    t_got=0
    "$@" >"$OUT" 2>"$ERR" || t_got=$?
    if [ "$t_got" -eq "$t_want" ]; then
        t_result 0 "exit $t_want: $*"
    else
        t_result 1 "exit $t_want: $*"
        echo "# exit was $t_got; stderr:"
        t_show "$ERR"
    fi
}

t_is() { # FILE NAME WANT
    printf '%s\n' "$3" >"$T_KEEP/want"
    [ -n "$3" ] || : >"$T_KEEP/want"
    if cmp -s "$1" "$T_KEEP/want"; then
        t_result 0 "$2"
    else
        t_result 1 "$2"
        diff "$T_KEEP/want" "$1" >"$T_KEEP/diff" || :
        t_show "$T_KEEP/diff"
    fi
}

t_like() { # FILE NAME REGEX
    if grep -Eq -e "$3" "$1"; then
        t_result 0 "$2 like $3"
    else
        t_result 1 "$2 like $3"
        t_show "$1"
    fi
}

t_unlike() {
    if grep -Eq -e "$3" "$1"; then
        t_result 1 "$2 unlike $3"
        t_show "$1"
    else
        t_result 0 "$2 unlike $3"
    fi
}

out_is() { if [ $# -eq 0 ]; then t_is "$OUT" stdout "$(cat)"; else t_is "$OUT" "stdout is $1" "$1"; fi; }
err_is() { if [ $# -eq 0 ]; then t_is "$ERR" stderr "$(cat)"; else t_is "$ERR" "stderr is $1" "$1"; fi; }
out_like() { t_like "$OUT" stdout "$1"; }
err_like() { t_like "$ERR" stderr "$1"; }
out_unlike() { t_unlike "$OUT" stdout "$1"; }
err_unlike() { t_unlike "$ERR" stderr "$1"; }

same() {
    t_rc=0
    cmp "$1" "$2" >"$T_KEEP/diff" 2>&1 || t_rc=1
    t_result $t_rc "same bytes: $1 $2"
    [ $t_rc -eq 0 ] || t_show "$T_KEEP/diff"
}

absent() {
    for t_pattern in "$@"; do
        t_found=
        for t_file in $t_pattern; do
            if [ -e "$t_file" ] || [ -L "$t_file" ]; then t_found="$t_found $t_file"; fi
        done
        t_rc=0
        [ -z "$t_found" ] || t_rc=1
        t_result $t_rc "absent: $t_pattern"
        [ $t_rc -eq 0 ] || echo "# found:$t_found"
    done
}

present() {
    for t_file in "$@"; do
        t_rc=0
        [ -s "$t_file" ] || t_rc=1
        t_result $t_rc "present: $t_file"
    done
}

ok() {
    t_what=$1
    shift
    t_rc=0
    "$@" >"$T_KEEP/ok" 2>&1 || t_rc=1
    t_result $t_rc "$t_what"
    [ $t_rc -eq 0 ] || t_show "$T_KEEP/ok"
}

no() {
    t_what=$1
    shift
    t_rc=1
    "$@" >"$T_KEEP/ok" 2>&1 || t_rc=0
    t_result $t_rc "$t_what"
    [ $t_rc -eq 0 ] || t_show "$T_KEEP/ok"
}

skip() {
    T_WHOLE=skip
    if [ $T_N -gt 0 ]; then
        echo "# skip after checks were made: $1"
        T_WHOLE=no
        exit 1
    fi
    echo "1..0 # SKIP $1"
    exit 0
}

# ---- what tools that write shards have in common: how they fail --------------------------------------
refuses() {
    t_regex=$1
    shift
    run 1 "$@"
    err_like "^$1: $t_regex\$"
    ok 'one line' test "$(wc -l <"$ERR")" -eq 1
    absent 'out.tar.zst*'
}

misused() {
    t_regex=$1
    shift
    run 2 "$@"
    err_like "^$1: $t_regex\$"
    out_is ''
    absent 'out.tar.zst*'
}

# What a limit leaves behind is for the caller to look at.
system_fails() {
    t_kib=$1
    shift
    run 1 sh -c '"$@" >/dev/full' - "$@"
    err_is "$1: standard output: write at byte 0: No space left on device"
    run 1 "$@" --run-log /dev/full -o out.tar.zst
    err_like "^$1: /dev/full: .*No space left on device\$"
    rm -f out.tar.zst
    run 1 "$@" -o no-such-folder/out.tar.zst
    err_like "^$1: no-such-folder/out\.tar\.zst.*: No such file or directory\$"
    { sleep 0.2; t_rc=0; "$@" 2>"$ERR" || t_rc=$?; echo $t_rc >"$T_KEEP/rc"; } | true
    ok 'a closed pipe: exit 1' test "$(cat "$T_KEEP/rc")" -eq 1
    err_like 'standard output: write at byte [0-9]+: Broken pipe$'
    # shellcheck disable=SC2016
    run 1 bash -c 'ulimit -f "$0"; "$@"' "$t_kib" "$@" -o out.tar.zst
    err_like "^$1: .*out\.tar\.zst: write at byte $((1024 * t_kib)): File too large\$"
}

ended_by_term() {
    kill -TERM "$1"
    t_rc=0
    wait "$1" || t_rc=$?
    ok 'SIGTERM ends it' test $t_rc -eq 143
}

# mk_rows PAIRS OUT [DIM] -- rows of a small image encoder, 12 numbers, and of captions, 24: what heads are trained on.
mk_rows() {
    vlembed -q --text-model hash:24 --image-model 'convnet:4x1#seed=1' --size 16 --embed-dim "${3:-12}" -o "$2" "$1"
}

# eval_data -- made-up pairs and embeddings: 40 to train on, 10 to choose by, 10 to test; two distilled sets of 8
# pairs, a and b. $data: vleval's options for them.
eval_data() {
    python3 "$TOP/tests/data/make_pairs.py" 60 >all.tsv
    sed -n 1,40p all.tsv >train.tsv
    sed -n 41,50p all.tsv >val.tsv
    sed -n 51,60p all.tsv >test.tsv
    for t_split in train val test; do
        vlpack -q -o $t_split.tar.zst $t_split.tsv
        mk_text $t_split.tar.zst $t_split.emb.tar.zst 32
    done
    mk_distilled -s 1 train.tar.zst train.emb.tar.zst a.tar.zst
    mk_distilled -s 2 train.tar.zst train.emb.tar.zst b.tar.zst
    data='--train train.tar.zst --train train.emb.tar.zst --val val.tar.zst --val val.emb.tar.zst'
    data="$data --test test.tar.zst --test test.emb.tar.zst"
}
