#!/bin/sh
# SPDX-License-Identifier: MIT
# tools.sh -- what every tool does alike: --help, --version, misuse, terminals, a full disk.
. "$(dirname "$0")/cli/lib.sh"

tools=$(for src in "$TOP"/cli/vl*.c; do basename "$src" .c | tr _ -; done)
# What writes its data to standard output takes -o; it must not do so to a terminal. A table may.
writes_binary() { [ "$1" != vleval ] && "$1" --options-tsv | grep -q '^--output	'; }

# A command whose data go to standard output, on inputs that are made below. A tool without a row has
# tests of its own that write to /dev/full: one missing here and there fails.
command_of() {
    case $1 in
    vlpack) echo "vlpack pairs.tsv" ;;
    vlls) echo "vlls pairs.tar.zst" ;;
    vlembed) echo "vlembed pairs.tar.zst" ;;
    vltrain-expert) echo "vltrain-expert -q -n 1 -e 1 --size 16 --model convnet:4x1 pairs.tar.zst emb.tar.zst" ;;
    vleval) echo "vleval -q --epochs 1 --size 16 --model convnet:4x1 --val pairs.tar.zst --val emb.tar.zst" \
        "--test pairs.tar.zst --test emb.tar.zst pairs.tar.zst,emb.tar.zst" ;;
    vldistill) echo "vldistill -q --pairs 4 --batch 4 --iterations 2 --expert-epochs 1 --real pairs.tar.zst --real emb.tar.zst experts.tar.zst" ;;
    vlcat) echo "vlcat pairs.tar.zst" ;;
    vlselect) echo "vlselect --method random -n 5 pairs.tar.zst" ;;
    esac
}
python3 "$TOP/tests/data/make_pairs.py" 12 >pairs.tsv
vlpack -q -o pairs.tar.zst pairs.tsv
"${BIN%/bin}/tests/mk_text" pairs.tar.zst emb.tar.zst
vltrain-expert -q -n 1 -e 1 --size 16 --model convnet:4x1 -o experts.tar.zst pairs.tar.zst emb.tar.zst

for tool in $tools; do
    run 0 "$tool" --help
    err_is ''
    out_like "^usage: $tool "
    out_like '^example:$'
    ok "$tool: the example names the tool" sh -c 'sed "1,/^example:/d" "$1" | grep -q "$2"' - "$OUT" "$tool"
    ok "$tool: --help fits 100 columns" sh -c '! grep -E "^.{101}" "$1"' - "$OUT"
    ok "$tool: says what it does in a sentence" sh -c 'sed -n 2p "$1" | grep -Eq "^[A-Z].*[a-z]"' - "$OUT"

    run 0 "$tool" --version
    err_is ''
    out_like "^$tool \(vlkit\) [0-9]+\.[0-9]+\.[0-9]+$"
    out_like '^shard format +reads and writes version [0-9]+$'
    engine=true
    case $tool in
    vlpack | vlls | vlcat) engine=false ;;
    esac
    if $engine; then
        out_like 'core type [A-Za-z0-9]+, parallel mode (sequential|pthreads|OpenMP), used with 1 thread$'
    else
        out_unlike 'core type'
        ok "$tool: is not linked with OpenBLAS" sh -c '! ldd "$1" | grep -q openblas' - "$BIN/$tool"
    fi

    # Kernels fit the processor even where OpenBLAS does not know it; the user's choice is obeyed.
    if $engine && grep -qw avx2 /proc/cpuinfo && grep -qw fma /proc/cpuinfo; then
        out_unlike 'core type (Prescott|Core2|Penryn|Dunnington|Nehalem|Barcelona|Opteron)'
        run 0 env OPENBLAS_CORETYPE=Haswell "$tool" --version
        out_like 'core type Haswell,'
    fi

    run 2 "$tool" --no-such-option
    out_is ''
    err_is "$tool: unknown option --no-such-option
try '$tool --help'"
    run 2 "$tool" --hel
    err_like '^[a-z-]*: unknown option --hel$'

    for what in --help --version --options-tsv; do
        run 1 sh -c "$tool $what >/dev/full"
        err_is "$tool: standard output: No space left on device"
        # The reader is gone before the tool starts.
        { sleep 0.1; rc=0; "$tool" "$what" 2>"$ERR" || rc=$?; echo $rc >"$T_KEEP/rc"; } | true
        ok "$tool $what: a closed pipe is no failure" test "$(cat "$T_KEEP/rc")" -eq 0
        err_is ''
    done

    line=$(command_of "$tool")
    if [ -z "$line" ]; then
        ok "$tool: its own tests write to a full disk" sh -c 'grep -l /dev/full "$1"/tests/cli/"$2"-*.sh' - "$TOP" "$tool"
    else
        # shellcheck disable=SC2086
        run 0 $line
        ok "$tool: writes something" test -s "$OUT"
        run 1 sh -c "$line >/dev/full"
        err_like "^$tool: .*No space left on device$"
        err_unlike "^$tool: .*No space left on device.*No space"
        ok "$tool: a failed write is said once" test "$(grep -c 'No space left' "$ERR")" -eq 1
        run 1 sh -c "${line% *} absent-file"
        err_like "^$tool: .*absent-file: .*No such file or directory$"
    fi
    if writes_binary "$tool"; then
        # Options and operands that are right, so that the terminal is what is refused.
        run 2 script -qec "${line:-$("$tool" --help | sed -n '$s/ -o [^ ]*//p')}" /dev/null
        out_like 'standard output is a terminal'
    fi
done
