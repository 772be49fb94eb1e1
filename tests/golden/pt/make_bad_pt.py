#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# make_bad_pt.py -- the files bad-*.pt of this folder: zips and pickles that nobody but an attacker, or a broken
# disk, would write. Standard library only; the bytes are the same on every run.
#   /usr/bin/python3 make_bad_pt.py DIR     writes DIR/bad-*.pt and DIR/bad.tsv (name, what the error must say)
import struct
import sys
import zlib

out = sys.argv[1]
LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"


def entry(name, data, method=0, flags=0, crc=None, size=None, local_name=None, central_name=None):
    return dict(name=name.encode(), data=data, method=method, flags=flags, crc=crc, size=size,
                local=(local_name or name).encode(), central=(central_name or name).encode())


def archive(entries, count=None, move=0, overlap=False, comment=b"", disks=0):
    """A zip; the arguments bend it."""
    body, central = b"", b""
    for e in entries:
        at = 0 if overlap and body else len(body)
        crc = zlib.crc32(e["data"]) if e["crc"] is None else e["crc"]
        n = len(e["data"]) if e["size"] is None else e["size"]
        fixed = struct.pack("<HHHHIII", e["flags"], e["method"], 0, 0, crc, n, n)
        if not (overlap and body):
            body += LOCAL + struct.pack("<H", 20) + fixed + struct.pack("<HH", len(e["local"]), 0)
            body += e["local"] + e["data"]
        central += CENTRAL + struct.pack("<HH", 20, 20) + fixed
        central += struct.pack("<HHHHHII", len(e["central"]), 0, 0, 0, 0, 0, at) + e["central"]
    n = len(entries) if count is None else count
    end = struct.pack("<HHHHIIH", disks, disks, n, n, len(central), len(body) + move, len(comment))
    return body + central + END + end + comment


def saved(pickle, storages=(), **bend):
    return archive([entry("a/data.pkl", pickle)] + [entry(f"a/data/{i}", s) for i, s in enumerate(storages)], **bend)


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def storage(key="0", n=4, kind="FloatStorage"):
    return b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + b"J" + struct.pack("<i", n) + b"tQ"


def long(v):
    return b"\x8a\x08" + struct.pack("<q", v)


def tensor(store=None, offset=0, shape=(4,), stride=(1,)):
    sizes = [b"(" + b"".join(long(v) for v in t) + b"t" for t in (shape, stride)]
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + (store or storage()) + long(offset) + sizes[0] + sizes[1] +
            b"\x89ccollections\nOrderedDict\n)RtR")


def replay(*items):
    """One expert of one snapshot."""
    return b"\x80\2]]](" + b"".join(items) + b"eaa."


def distilled(image, text_, extra="more"):
    items = [("image", image), ("text", text_), ("syn_lr_img", b"K\1"), ("syn_lr_txt", b"K\1"), (extra, tensor())]
    return b"\x80\2}(" + b"".join(text(k) + v for k, v in items) + b"u."


FOUR = struct.pack("<4f", 1, 2, 3, 4)
SYSTEM = b"\x80\2cposix\nsystem\n" + text("touch /tmp/pwned") + b"\x85R."
good = saved(replay(tensor()), [FOUR])

bad = {
    # what a pickle could run
    "os-system": (saved(SYSTEM), "global 'posix.system' is not one"),
    "eval-4": (saved(b"\x80\4\x8c\x08builtins\x8c\x04eval\x93" + text("1") + b"\x85R."), "global 'builtins.eval'"),
    "in-tensor": (saved(replay(tensor(store=b"cos\nsystem\n" + text("id") + b"\x85R"))), "global 'os.system'"),
    "inst": (saved(b"\x80\2(" + text("id") + b"ios\nsystem\n."), "opcode 0x69"),
    "newobj": (saved(b"\x80\2ctorch\nFloatStorage\n)\x81."), "opcode 0x81"),
    "extension": (saved(b"\x80\2\x82\1."), "opcode 0x82"),
    "call-storage": (saved(b"\x80\2ctorch\nFloatStorage\nK\x04\x85R."), "a call, a list of experts"),
    "call-call": (saved(b"\x80\2ccollections\nOrderedDict\n)R)R."), "a call of a dict"),
    "attributes": (saved(b"\x80\2]}b."), "attributes for a list"),
    # shapes of trees
    "two-places": (saved(b"\x80\2](]q\0h\0e."), "a list in two places"),
    "own-kid": (saved(b"\x80\2]q\0h\0a."), "holds itself"),
    "deep": (saved(b"\x80\2" + b"(" * 3000 + b"t" * 3000 + b"."), "a tuple, a tensor expected"),
    "many-marks": (saved(b"\x80\2" + b"(" * 3000 + b"."), "3000 marks"),
    "memo": (saved(b"\x80\2j\xff\xff\xff\x7f."), "memo place 2147483647"),
    "memo-put": (saved(b"\x80\2Nr\xff\xff\xff\x7f."), "memo place 2147483647, 0 expected"),
    "long-text": (saved(b"\x80\2X\xff\xff\xff\xff."), "does not fit what is left"),
    "long-int": (saved(b"\x80\2\x8a\xff" + b"\1" * 255 + b"."), "an integer of 255 bytes"),
    "no-stop": (saved(b"\x80\2N"), "ends before STOP"),
    "behind-stop": (saved(b"\x80\2N.N"), "1 bytes behind STOP"),
    "protocol-0": (saved(b"(lp0\n."), "opcode 0x6c"),
    "protocol-9": (saved(b"\x80\x09N."), "protocol 9"),
    "empty": (saved(b""), "ends before STOP"),
    "underflow": (saved(b"\x80\2a."), "the stack is empty"),
    # tensors
    "shape-huge": (saved(replay(tensor(shape=(2**62, 4), stride=(0, 0))), [FOUR]), "a tensor of more than"),
    "shape-wraps": (saved(replay(tensor(shape=(2**32, 2**32), stride=(0, 0))), [FOUR]), "a tensor of more than"),
    "shape-negative": (saved(replay(tensor(shape=(-1,))), [FOUR]), "not a number from 0 on"),
    "stride-out": (saved(replay(tensor(shape=(4,), stride=(2,))), [FOUR]), "a view that leaves its storage"),
    "stride-wraps": (saved(replay(tensor(shape=(3, 2), stride=(2**62, 2**62))), [FOUR]), "a view that leaves"),
    "offset-out": (saved(replay(tensor(offset=4, shape=(1,))), [FOUR]), "begins at element 4 of 4"),
    "rank-9": (saved(replay(tensor(shape=(1,) * 9, stride=(1,) * 9)), [FOUR]), "at most 8 numbers"),
    "rank-differs": (saved(replay(tensor(shape=(2, 2))), [FOUR]), "do not go together"),
    "storage-missing": (saved(replay(tensor(store=storage("7"))), [FOUR]), "storage '7' is not in the file"),
    "storage-path": (saved(replay(tensor(store=storage("../data.pkl"))), [FOUR]), "is not in the file"),
    "storage-long": (saved(replay(tensor(store=storage(n=5))), [FOUR]), "5 elements of 4 bytes claimed"),
    "storage-type": (saved(replay(tensor(store=storage(kind="UntypedStorage"))), [FOUR]), "torch.UntypedStorage"),
    "storage-crc": (archive([entry("a/data.pkl", replay(tensor())), entry("a/data/0", FOUR, crc=1)]), "CRC-32"),
    "views": (saved(replay(*[tensor(shape=(2**28,), stride=(0,))] * 3), [FOUR]), "views of far fewer"),
    "no-tensor": (saved(replay(b"N")), "a None, a tensor expected"),
    # distilled sets
    "set-text-views": (saved(distilled(tensor(shape=(1, 3, 1, 1), stride=(0, 1, 0, 0)),
                                       tensor(shape=(1, 2**28), stride=(0, 0))), [FOUR]), "views of far fewer"),
    "set-rank": (saved(distilled(tensor(), tensor()), [FOUR]), "image: not of shape"),
    "set-pairs": (saved(distilled(tensor(shape=(1, 3, 1, 1), stride=(0, 1, 0, 0)),
                                  tensor(shape=(2, 2), stride=(2, 1))), [FOUR]), "as many pairs as images"),
    "set-key": (saved(distilled(tensor(shape=(1, 3, 1, 1), stride=(0, 1, 0, 0)),
                                tensor(shape=(1, 4), stride=(0, 1)), "../A"), [FOUR]), "../A"),
    # zips
    "compressed": (archive([entry("a/data.pkl", b"\x63\0", method=8)]), "is compressed (method 8)"),
    "encrypted": (archive([entry("a/data.pkl", b"N.", flags=1)]), "is encrypted"),
    "overlap": (saved(replay(tensor()), [FOUR], overlap=True), "local header is not that of the directory"),
    "overlap-same": (archive([entry("a/data.pkl", b"N."), entry("a/data.pkl", b"N.")], overlap=True), "overlap"),
    "twice": (archive([entry("a/data.pkl", b"N."), entry("a/data.pkl", b"N.")]), "is there twice"),
    "two-pickles": (archive([entry("a/data.pkl", b"N."), entry("b/data.pkl", b"N.")]), "one pickle expected"),
    "no-pickle": (archive([entry("a/data", b"N.")]), "without NAME/data.pkl"),
    "local-name": (archive([entry("a/data.pkl", b"N.", local_name="a/data.pkz")]), "local header is not that"),
    "name-nul": (archive([entry("a/data.pkl", b"N.", central_name="a/data\0pkl")]), "name is empty"),
    "folder": (archive([entry("a/data.pkl", b"N."), entry("a/", b"", local_name="b/")]), "local header is not that"),
    "size-lie": (archive([entry("a/data.pkl", b"N.", size=2**31)]), "do not fit the file"),
    "size-64": (archive([entry("a/data.pkl", b"N.", size=2**32 - 1)]), "sizes contradict"),
    "count-lie": (archive([entry("a/data.pkl", b"N.")], count=2), "zip: 2 entries"),
    "count-less": (archive([entry("a/data.pkl", b"N."), entry("a/x", b"")], count=1), "left over in the directory"),
    "moved": (saved(b"N.", move=1), "does not end where"),
    "comment": (saved(b"N.", comment=b"hello"), "no end record"),
    "disks": (saved(b"N.", disks=1), "one of several disks"),
    "cut": (good[:-1], "no end record"),
    "cut-head": (good[20:], "does not end where"),
    "short": (b"PK\5\6", "4 bytes are no archive"),
    "pickle-crc": (archive([entry("a/data.pkl", b"N.", crc=1)]), "CRC-32"),
    "big-endian": (archive([entry("a/data.pkl", b"N."), entry("a/byteorder", b"big")]), "not 'little'"),
    "old-format": (b"\x80\2\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + b"\x80\2M\xe9\3." * 2, "torch before 1.6"),
}

with open(f"{out}/bad.tsv", "w") as f:
    for name, (data, why) in bad.items():
        with open(f"{out}/bad-{name}.pt", "wb") as g:
            g.write(data)
        print(f"bad-{name}.pt", why, sep="\t", file=f)
