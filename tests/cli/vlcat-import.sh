#!/bin/sh
# SPDX-License-Identifier: MIT
# vlcat-import.sh -- files of torch.save become shards; hostile ones become one line and nothing else.
. "$(dirname "$0")/lib.sh"
pt=$TOP/tests/golden/pt

run 0 vlcat --import pt -o t.tar.zst "$pt"/txt_replay_buffer_1.pt "$pt"/img_replay_buffer_*.pt "$pt"/txt_replay_buffer_0.pt
err_is 'vlcat: 2 experts, 6 snapshots, 0.0 MB of tensors'
run 0 vlls --check t.tar.zst
run 0 vlls t.tar.zst
out_like '^expert-0001/snap-0002.*image.0000.npy=.*text.projection.weight.npy='
ok 'from a pipe to a pipe' sh -c 'vlcat -q --import pt "$@" | cmp - t.tar.zst' - "$pt"/*_replay_buffer_?.pt
run 0 vlcat -q --import pt --to tar -o t.tar "$pt"/*_replay_buffer_?.pt
ok 'the plain carrier has the same content' sh -c \
    'test "$(vlcat --to tar.zst t.tar | vlls --check)" = "$(vlcat t.tar.zst | vlls --check)"'

run 0 vlcat --import pt -o d.tar.zst "$pt"/distilled_0.pt
err_is 'vlcat: 4 pairs, 0.0 MB of tensors'
run 0 vlls --check d.tar.zst
mkdir d
ok 'its members are files' sh -c 'zstd -dc d.tar.zst | tar -x -C d'
ok 'pixels as torch saved them' python3 - "$pt/distilled_0.pt" d <<'PY'
import struct, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
image = z.read([n for n in z.namelist() if n.endswith("data/0")][0])  # the first storage is that of the images
for i in range(4):
    npy = open(f"{sys.argv[2]}/syn-{i:05d}.pixels.npy", "rb").read()
    assert npy[-768:] == image[768 * i : 768 * i + 768], i
    assert b"(3, 8, 8)" in npy[:128]
PY

for f in bad-os-system bad-views bad-overlap bad-cut; do
    mkdir $f
    cp "$pt/$f.pt" $f/img_replay_buffer_0.pt
    cp "$pt/$f.pt" $f/txt_replay_buffer_0.pt
    run 1 vlcat --import pt -o never.tar.zst $f/img_replay_buffer_0.pt $f/txt_replay_buffer_0.pt
    err_like "^vlcat: $f/img_replay_buffer_0.pt"
    ok 'in one line' test "$(wc -l <"$ERR")" -eq 1
    absent 'never*'
done
run 1 vlcat --import pt -o never.tar.zst "$pt"/bad-os-system.pt
err_is "vlcat: $pt/bad-os-system.pt: pickle: byte 2: global 'posix.system' is not one that tensors need: refused"
absent /tmp/pwned
run 1 vlcat --import pt -o never.tar.zst "$pt"/img_replay_buffer_0.pt
err_like 'img_replay_buffer_0.pt and txt_replay_buffer_0.pt go together'
run 1 vlcat --import pt "$pt"/distilled_0.pt "$pt"/distilled_1.pt
err_like 'a shard holds one distilled set'
run 1 sh -c 'vlcat --import pt "$1" >/dev/full' - "$pt"/distilled_0.pt
err_like 'No space left on device'
for o in '--head 1' '--shuffle 1' '--join x' '--to npz' '--shard-records 1 -o x-%d.tar'; do
    # shellcheck disable=SC2086
    run 2 vlcat --import pt $o "$pt"/distilled_0.pt
    err_like 'only -o, --seal and --to|--shard-size and'
done
run 2 vlcat --import pickle "$pt"/distilled_0.pt
absent 'never*'
