#!/bin/sh
# SPDX-License-Identifier: MIT
# stock.sh -- what programs that know nothing of vlkit see in its shards: every line of FORMAT.md section 11.
#
# Packages that Debian has not (webdataset, safetensors) are tried with the Python that VLKIT_PEER_PYTHON names:
#   python3 -m venv peer && peer/bin/pip install webdataset safetensors numpy
#   VLKIT_PEER_PYTHON=$PWD/peer/bin/python sh tests/stock.sh
# Tools that are not installed are said to be skipped.
. "$(dirname "$0")/cli/lib.sh"
MK=$BIN/../tests/mk_shard
PY=/usr/bin/python3
PEER=${VLKIT_PEER_PYTHON:-}

miss() { # WHAT: a check that cannot be made here
    T_N=$((T_N + 1))
    echo "ok $T_N # SKIP $1"
}
have() { command -v "$1" >/dev/null 2>&1; }
plain() { grep -v '^__vl__/' || :; }
# member names as vlls gives them, metadata aside
names() { vlls "$@" | tr '\t' ' ' | awk '{ for (i = 3; i <= NF; i++) { sub(/=.*/, "", $i); print $1 "." $i } }'; }
# names and sizes by Python's tarfile, from a pipe
py_list='import sys, tarfile
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|", encoding="utf-8") as t:
    for m in t:
        assert len(t.extractfile(m).read()) == m.size
        print(m.name)'

"$MK" a.tar.zst -n 5 -b 300000 -s 2 -p a
"$MK" - -n 3 -p b >b.tar.zst
cat a.tar.zst b.tar.zst >ab.tar.zst
for f in a b ab; do vlcat -q -o $f.tar $f.tar.zst; done
cat a.tar b.tar >ab-plain.tar
cmp -s ab.tar ab-plain.tar || cp ab-plain.tar ab.tar

# ---- lists: every member of every segment --------------------------------------------------------
for f in a b ab; do
    names $f.tar.zst >$f.want
    tar --zstd -tf $f.tar.zst >all
    plain <all >got && same $f.want got
    segments=$(vlls --manifest $f.tar.zst | wc -l)
    ok "GNU tar $f: three metadata members a segment" test "$(grep -c '^__vl__/' all)" -eq $((3 * segments))
    bsdtar -tf $f.tar.zst | plain >got && same $f.want got
    tar -tf $f.tar | plain >got && same $f.want got
    bsdtar -tf $f.tar | plain >got && same $f.want got
    if have busybox; then
        zstd -dcq $f.tar.zst | busybox tar -tf - | plain >got && same $f.want got
        run 0 busybox tar -tf $f.tar
        plain <"$OUT" >got && same $f.want got
    else miss 'busybox is not installed'; fi
    zstd -dcq $f.tar.zst | PYTHONIOENCODING=utf-8 "$PY" -c "$py_list" | plain >got && same $f.want got
    PYTHONIOENCODING=utf-8 "$PY" -c "$py_list" <$f.tar | plain >got && same $f.want got
done
ok 'cat lists both' test "$(wc -l <ab.want)" -eq $(($(wc -l <a.want) + $(wc -l <b.want)))
long=$(printf 'l%.0s' $(seq 1 140))
"$MK" long.tar.zst -p "ordner/ä-$long"
names long.tar.zst >long.want
vlcat -q -o long.tar long.tar.zst
tar --zstd -tf long.tar.zst --quoting-style=literal | plain >got && same long.want got
tar -tf long.tar --quoting-style=literal | plain >got && same long.want got
for f in long.tar.zst long.tar; do # bsdtar shows bytes that the locale has not as they are in C.UTF-8 only
    LC_ALL=C.UTF-8 bsdtar -tf $f | plain >got && same long.want got
done
if have busybox; then
    zstd -dcq long.tar.zst | busybox tar -tf - | plain >got
    busybox tar -tf long.tar | plain >got2
    same got got2
    ok 'busybox lists long names' test "$(grep -c "$long" got)" -eq "$(wc -l <long.want)"
    mkdir bb
    ok 'busybox unpacks long and foreign names' sh -c 'zstd -dcq long.tar.zst | busybox tar -xf - -C bb && cd bb && xxhsum -cq __vl__/.sums.*'
else miss 'busybox is not installed'; fi
zstd -dcq long.tar.zst | PYTHONIOENCODING=utf-8 "$PY" -c "$py_list" | plain >got && same long.want got
PYTHONIOENCODING=utf-8 "$PY" -c "$py_list" <long.tar | plain >got && same long.want got

# Python's own tarfile: no zstd before 3.14
run 0 "$PY" -c '
import sys, tarfile
try:
    tarfile.open(sys.argv[1])
    print("read")
except tarfile.ReadError:
    print("refused")' ab.tar.zst
if "$PY" -c 'import sys; sys.exit(sys.version_info >= (3, 14))'; then out_is refused; else miss 'this tarfile reads zstd'; fi

# ---- sums ----------------------------------------------------------------------------------------
mkdir x y
ok 'tar unpacks' tar --zstd -C x -xf ab.tar.zst
for s in x/__vl__/.sums.*; do
    ok "xxhsum -c ${s##*/}" sh -c 'cd x && xxhsum -cq "${1#x/}"' - "$s"
done
ok 'three lists of sums' test "$(ls x/__vl__/.sums.* | wc -l)" -eq 3
chmod u+w x/a-0-000001.txt && echo >>x/a-0-000001.txt
no 'xxhsum sees a changed file' sh -c 'cd x && cat __vl__/.sums.* | xxhsum -cq -'
ok 'tar unpacks long names' tar --zstd -C y -xf long.tar.zst
ok 'xxhsum -c of long names' sh -c 'cd y && xxhsum -cq __vl__/.sums.*'
# the content id is the SHA-256 of the DATA tar bytes: the stream without its metadata members
run 0 vlls --manifest --json b.tar.zst
id=$(sed 's/.*"content_id":"\([0-9a-f]*\)".*/\1/' "$OUT")
bytes=$(sed 's/.*"bytes":\([0-9]*\).*/\1/' "$OUT")
ok 'content id by sha256sum' test "$id" = \
    "$(zstd -dcq b.tar.zst | tail -c +1025 | head -c "$bytes" | sha256sum | cut -d' ' -f1)"

# ---- damage: what zstd and tar notice, and what they do not --------------------------------------
run 0 zstd -tq ab.tar.zst
run 0 zstd -l ab.tar.zst
out_like ' XXH64 '
cut_at=$("$PY" - a.tar.zst <<'END'
import struct, sys      # where the second DATA frame of the first segment begins, by the first seek table
b = open(sys.argv[1], "rb").read()
at = b.index(bytes.fromhex("5e2a4d18")) + 8
print(sum(struct.unpack_from("<I", b, at + 12 * i)[0] for i in range(2)))
END
)
head -c "$cut_at" a.tar.zst >cut.tar.zst
run 0 zstd -tq cut.tar.zst
run 0 tar --zstd -tf cut.tar.zst
run 1 vlls --check cut.tar.zst
err_is "vlls: cut.tar.zst: truncated: no seek table, file ends at byte $cut_at"
cp a.tar.zst table.tar.zst
printf '\377' | dd of=table.tar.zst bs=1 seek=$(($(wc -c <a.tar.zst) - 15)) conv=notrunc 2>/dev/null
run 0 zstd -tq table.tar.zst
run 0 tar --zstd -tf table.tar.zst
run 1 vlls --check table.tar.zst
"$PY" - a.tar.zst >index.tar.zst <<'END'
import sys                  # a byte inside the first index
b = bytearray(open(sys.argv[1], "rb").read())
b[b.index(bytes.fromhex("5d2a4d18")) + 30] ^= 1
sys.stdout.buffer.write(b)
END
run 0 zstd -tq index.tar.zst
run 0 tar --zstd -tf index.tar.zst
run 1 vlls --check index.tar.zst
cp a.tar.zst flip.tar.zst
printf '\377\376' | dd of=flip.tar.zst bs=1 seek=$((cut_at + 1000)) conv=notrunc 2>/dev/null
no 'zstd -t notices a changed frame' zstd -tq flip.tar.zst
zstd -dcq flip.tar.zst 2>/dev/null | tar -tf - 2>/dev/null | plain >stock.flip || :
vlls --skip-bad flip.tar.zst 2>/dev/null >ours.flip || :
ok 'behind it stock tools see nothing, vlls the next segment' sh -c '! grep -q ^a-1- stock.flip && grep -q ^a-1- ours.flip'

# ---- the terminator ------------------------------------------------------------------------------
vlcat -q --seal -o sealed.tar.zst a.tar.zst
vlcat -q --seal -o sealed.tar a.tar
for f in tar.zst tar; do
    cat sealed.$f b.$f >beyond.$f
    run 0 tar --auto-compress -tf beyond.$f
    plain <"$OUT" >got
    names sealed.tar.zst >want && same want got
    ok "vlls reads on behind it ($f)" test "$(vlls beyond.$f | wc -l)" -eq $(($(vlls a.tar.zst | wc -l) + 3))
done
if have 7z; then
    run 2 7z t ab.tar
    ok '7z wants the end of the archive' grep -q 'Unexpected end of archive' "$OUT" "$ERR"
    run 2 7z l ab.tar
    out_like ' b-0-000002\.json$'
    ok '7z takes a sealed one' 7z t sealed.tar
    7z l ab.tar.zst >7z.out 2>&1 || :
    ok '7z reads no zstd' sh -c '! grep -q b-0-000002 7z.out'
else miss '7z is not installed'; fi
for strict in pax cpio; do
    if have $strict; then ok "$strict lists a sealed one" sh -c "$strict -t -H ustar <sealed.tar || pax <sealed.tar"; else miss "$strict is not installed"; fi
done

# ---- arrays --------------------------------------------------------------------------------------
GOOD=$TOP/spec/vectors/good
bits='import hashlib, sys
def bits(pairs):
    for k, a in sorted(pairs):
        print(k, a.dtype.str, a.shape, hashlib.sha256(a.tobytes()).hexdigest())
'
if "$PY" -c 'import numpy' 2>/dev/null; then
    tar --zstd -C y -xf "$GOOD/npy.tar.zst"
    run 0 "$PY" -c "$bits"'
import glob, numpy
bits((f[6:-4], numpy.load(f)) for f in glob.glob("y/set.*.npy"))'
    cp "$OUT" npy.bits
    ok 'numpy loads .npy of all versions and types' test "$(wc -l <npy.bits)" -eq 18
    # the bytes behind the header are what the vectors hold: NaN payloads, -0, denormals
    run 0 "$PY" -c "$bits"'
import glob
for f in sorted(glob.glob("y/set.*.npy")):
    import numpy
    b, a = open(f, "rb").read(), numpy.load(f)
    assert b.endswith(a.tobytes()) and len(b) - a.nbytes in (128, 64), f'
    run 0 vlcat -q --bare --to npz -o all.npz "$GOOD/npy.tar.zst"
    run 0 "$PY" -c "$bits"'
import numpy
z = numpy.load("all.npz")
bits((k, z[k]) for k in z.files if not k.startswith("__vl__/"))'
    same npy.bits "$OUT"
else miss 'numpy is not installed'; fi
run 1 vlcat -q --bare --to safetensors -o c16.safetensors "$GOOD/npy.tar.zst"
err_is "vlcat: safetensors: tensor 'a15': the format has no dtype <c16"
absent c16.safetensors

if [ -z "$PEER" ]; then
    miss 'webdataset: VLKIT_PEER_PYTHON names no Python that has it'
    miss 'safetensors: VLKIT_PEER_PYTHON names no Python that has it'
    exit 0
fi
run 0 "$PEER" -c 'import sys, webdataset, safetensors, numpy
print("Python", sys.version.split()[0], "webdataset", webdataset.__version__, "safetensors", safetensors.__version__, "numpy", numpy.__version__)'
t_show "$OUT"
vlls ab.tar.zst | awk -F'\t' '{ n = split($3, m, " "); s = ""; for (i = 1; i <= n; i++) { sub(/=.*/, "", m[i]); s = s " " m[i] } print $1 s }' >want
for url in 'pipe:zstd -dcq ab.tar.zst' ab.tar; do
    run 0 "$PEER" -c '
import sys, webdataset
for s in webdataset.WebDataset(sys.argv[1], shardshuffle=False):
    print(s["__key__"], *[k for k in s if not k.startswith("__")])' "$url"
    same want "$OUT"
done
# <c16 has no safetensors type, bf16 no NumPy type: all others, bit by bit
run 0 vlcat -q --bare --drop a15.npy --to safetensors -o all.safetensors "$GOOD/npy.tar.zst"
run 0 "$PEER" -c "$bits"'
import json, struct
head = open("all.safetensors", "rb").read()
n = struct.unpack("<Q", head[:8])[0]
h = json.loads(head[8:8 + n])
from safetensors import safe_open
with safe_open("all.safetensors", "np") as f:
    bits((k, f.get_tensor(k)) for k in f.keys() if h[k]["dtype"] != "BF16")'
grep -v -e '^a04' -e '^a15' npy.bits >want
same want "$OUT"
