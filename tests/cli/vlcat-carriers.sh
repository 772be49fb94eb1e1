#!/bin/bash
# SPDX-License-Identifier: MIT
# vlcat-carriers.sh -- the same records as tar, as files, as arrays; what other programs read of them.
. "$(dirname "$0")/lib.sh"
MK=$BIN/../tests/mk_shard
python3 "$TOP/tests/data/make_pairs.py" 12 >pairs.tsv
vlpack -q --licence CC0-1.0 -o pairs.tar.zst pairs.tsv
"$BIN/../tests/mk_text" pairs.tar.zst emb.tar.zst
"$BIN/../tests/mk_distilled" -n 4 pairs.tar.zst emb.tar.zst set.tar.zst
mkdir tmp
TMPDIR=$PWD/tmp
export TMPDIR
unpack() { mkdir "$2" && zstd -dcq "$1" | tar -xf - -C "$2"; }

# plain tar: by name, by --to; back again it is the old shard
run 0 vlcat -q -o pairs.tar pairs.tar.zst
run 0 vlcat -q --to tar pairs.tar.zst
same pairs.tar "$OUT"
run 0 vlcat -q pairs.tar
same pairs.tar.zst "$OUT"
run 0 sh -c 'cat pairs.tar | vlcat -q - >back.tar.zst'
same pairs.tar.zst back.tar.zst
run 0 vlcat -q --to tar.zst -o odd.tar pairs.tar
same pairs.tar.zst odd.tar
run 0 vlls --diff pairs.tar pairs.tar.zst
out_is ''
run 0 tar -tf pairs.tar
ok 'tar lists members and metadata' test "$(wc -l <"$OUT")" -eq 39

# the index of DALI, against the offsets that Python finds
run 0 vlcat -q --dali-index -o d.tar pairs.tar.zst
same pairs.tar d.tar
/usr/bin/python3 - <<'END' >want.idx
import tarfile
rows, last = [], None
for m in tarfile.open("d.tar"):
    if m.name.startswith("__vl__"):
        continue
    dot = m.name.find(".", m.name.rfind("/") + 1)
    key, ext = m.name[:dot], m.name[dot + 1:]
    if key != last:
        rows.append([])
    last = key
    rows[-1] += [ext, str(m.offset_data), str(m.size), m.name]
print("v1.2", len(rows))
for r in rows:
    print(" ".join(r))
END
same want.idx d.idx
run 0 vlcat -q --dali-index --seal --shard-records 5 -o d-%d.tar pairs.tar.zst
ok 'an index a shard' test "$(cat d-?.idx | grep -c v1.2)" -eq 3
long=$(printf 'x%.0s' $(seq 120))
run 0 "$MK" long.tar.zst -n 2 -p "$long"
run 0 vlcat -q --dali-index -o long.tar long.tar.zst
ok 'offsets behind long names' sh -c 'set -- $(sed -n 2p long.idx) && test "$(tail -c +$(($6 + 1)) long.tar | head -c $7)" = "sentence 0"'
"$MK" blank.tar.zst -n 1 -p 'a b'
run 1 vlcat --dali-index -o blank.tar blank.tar.zst
err_is "vlcat: blank.tar: record 'a b-0-000000': a blank in a name, which the index cannot hold"
absent blank.idx

# a folder: what tar unpacks
run 0 vlcat -o folder/ pairs.tar.zst
err_is 'vlcat: 12 of 12 records, 39 files'
unpack pairs.tar.zst unpacked
ok 'the files that tar makes' diff -r unpacked folder
(cd folder && xxhsum -q -c __vl__/.sums.*) >"$T_KEEP/sums" 2>&1 && rc=0 || rc=1
ok 'the sums agree' test $rc -eq 0
run 0 sh -c 'cat pairs.tar.zst | vlcat -q --to folder -o piped -'
ok 'from a pipe, too' diff -r unpacked piped
mkdir empty
run 0 vlcat -q -o empty pairs.tar.zst emb.tar.zst
unpack emb.tar.zst both
zstd -dcq pairs.tar.zst | tar -xf - -C both
ok 'two segments in one folder' test "$(find empty -type f | wc -l)" -eq "$(find both -type f | wc -l)"
"$MK" large.tar.zst -n 3 -b 9000000
run 0 vlcat -q -o large/ large.tar.zst
unpack large.tar.zst large.tar.d
ok 'members longer than a frame' diff -r large.tar.d large
run 1 vlcat -o folder pairs.tar.zst
err_is 'vlcat: folder: is a folder with something in it'
run 1 vlcat --to folder -o pairs.tsv pairs.tar.zst
err_is 'vlcat: pairs.tsv: Not a directory'
run 1 vlcat -o gone/away/ pairs.tar.zst
err_is 'vlcat: gone/away: No such file or directory'
head -c 1700 pairs.tar.zst >cut.tar.zst
run 1 vlcat --to folder -o partial pairs.tar.zst cut.tar.zst
absent 'partial*'
mkdir target && ln -s target link
run 1 vlcat --to folder -o link pairs.tar.zst
absent 'link.tmp*' 'target/*'
# a key that is a file in one segment and a folder in the next
mkdir clash clash/a.txt
"$BIN/../data/mkimage" png 8 8 1 >clash/x.png
printf 'clash/x.png\tone\n' >clash.tsv
"$MK" file.tar.zst -n 1 -p a
vlcat -q --strip a-0-000000 --prefix a -o a.tar.zst file.tar.zst
vlcat -q --prefix a.txt/ -o b.tar.zst file.tar.zst
run 1 vlcat -o clash.d/ a.tar.zst b.tar.zst
err_like '^vlcat: b.tar.zst: clash.d: .*a.txt/a-0-000000|^vlcat: clash.d'
absent 'clash.d*'
# a signal takes the folder away
mkfifo fifo
vlcat -q -o signal/ fifo &
pid=$!
exec 3>fifo
vlcat -q pairs.tar.zst >&3
for i in 1 2 3 4 5 6 7 8 9 10; do [ -d signal.tmp-$pid ] && break || sleep 0.1; done
ok 'it is being written' test -d signal.tmp-$pid
kill -TERM $pid
t_rc=0
wait $pid || t_rc=$?
exec 3>&-
ok 'died of the signal' test $t_rc -eq 143
absent 'signal*'

# arrays: NumPy reads the zip, and the safetensors header says where the same bytes are
run 0 vlcat -o set.npz set.tar.zst
err_is 'vlcat: 17 members left out: they are no arrays (.npy)
vlcat: 5 of 5 records, 1 file'
run 0 vlcat -q -o set.safetensors set.tar.zst
run 0 vlcat -q --stack -o stack.npz set.tar.zst
run 0 vlcat -q --stack --to safetensors set.tar.zst
cp "$OUT" stack.safetensors
run 0 sh -c 'cat set.tar.zst | vlcat -q --stack --to safetensors - >piped.safetensors'
same stack.safetensors piped.safetensors
run 0 env TZ=Asia/Tokyo vlcat -q --to npz set.tar.zst
same set.npz "$OUT"
unpack set.tar.zst set
cat >arrays.py <<'END'
import glob, io, json, struct, zipfile
import numpy as np
def st(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8:8 + n])
    meta = head.pop("__metadata__")
    kinds = {"F32": "<f4", "F64": "<f8"}
    return meta, {k: np.frombuffer(raw[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]],
                                   kinds[v["dtype"]]).reshape(v["shape"]) for k, v in head.items()}
want = {f[4:-4]: np.load(f) for f in glob.glob("set/*.npy")}
def same(got, want):
    assert sorted(got) == sorted(want), (sorted(got), sorted(want))
    for k in want:
        assert got[k].dtype == want[k].dtype and got[k].shape == want[k].shape and got[k].tobytes() == want[k].tobytes(), k
z = np.load("set.npz")
same({k: z[k] for k in z.files if k != "__vl__/manifest.json"}, want)
assert all(i.compress_type == zipfile.ZIP_STORED for i in zipfile.ZipFile("set.npz").infolist())
assert zipfile.ZipFile("set.npz").testzip() is None
meta, got = st("set.safetensors")
same(got, want)
segments = json.loads(meta["vlkit"])
assert segments == json.loads(z["__vl__/manifest.json"]) and segments[0]["manifest"]["kind"] == "distilled"
rows = {}
for k in sorted(want):
    rows.setdefault(k.split(".", 1)[1], []).append(want[k])
rows = {k: np.stack(v) for k, v in rows.items()}
assert rows["pixels"].shape == (4, 3, 16, 16)
same(st("stack.safetensors")[1], rows)
z = np.load("stack.npz")
same({k: z[k] for k in z.files if k != "__vl__/manifest.json"}, rows)
END
run 0 /usr/bin/python3 arrays.py
err_is ''
run 0 vlcat -q --key set --bare -o rates.npz set.tar.zst
run 0 /usr/bin/python3 -c 'import numpy; print(numpy.load("rates.npz")["rates"].shape)'
out_is '(2,)'
run 1 vlcat --bare -o no.npz set.tar.zst
err_is "vlcat: set.tar.zst: record 'syn-00001': pixels.npy: two tensors are called 'pixels'"
run 1 vlcat -o no.npz pairs.tar.zst
err_is 'vlcat: no record holds an array (.npy)'
vlcat -q --rename txt=txt.npy -o lie.tar.zst pairs.tar.zst
run 1 vlcat -o no.safetensors lie.tar.zst
err_like "^vlcat: lie.tar.zst: record 'images/img-00000': txt.npy: npy: "
absent 'no.*' '*.tmp*' 'tmp/*'
