# SPDX-License-Identifier: MIT
"""arrays.py -- .npy and .vlt members of a shard, after section 9 of FORMAT.md; readshard.py --tensors."""
import ast
import hashlib
import struct

# bytes of a number and of a word
DTYPES = {"<f2": (2, 2), "<f4": (4, 4), "<f8": (8, 8), "bf16": (2, 2), "|u1": (1, 1), "|i1": (1, 1), "<u2": (2, 2),
          "<i2": (2, 2), "<u4": (4, 4), "<i4": (4, 4), "<u8": (8, 8), "<i8": (8, 8), "|b1": (1, 1), "<c8": (8, 4),
          "<c16": (16, 8)}


def need(true, cause, *values):
    if not true:
        raise ValueError(cause % values if values else cause)


def fits(n_bytes, shape, item):
    """Does an array of this shape have n_bytes? Stops long before a product of hostile numbers gets long."""
    n = item
    for d in shape if 0 not in shape else (0,):
        n *= d
        if n > n_bytes:
            return False
    return n == n_bytes


def npy(raw):
    """NumPy's own format: magic, version, length of the header, a Python dict, the numbers."""
    need(raw[:6] == b"\x93NUMPY" and raw[6:8] in (b"\1\0", b"\2\0", b"\3\0"), "no .npy of versions 1.0 to 3.0")
    at = 10 if raw[6] == 1 else 12
    end = at + int.from_bytes(raw[8:at], "little")
    need(end <= min(len(raw), 65536), ".npy header of %d bytes", end)
    try:
        head = ast.literal_eval(raw[at:end].decode("utf-8" if raw[6] == 3 else "latin-1").strip())
        dtype, order, shape = head["descr"], head["fortran_order"], head["shape"]
        known = len(head) == 3 and dtype in DTYPES and dtype != "bf16" and order is False and type(shape) is tuple
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        known = False
    need(known and all(type(d) is int and d >= 0 for d in shape), ".npy header")
    need(fits(len(raw) - end, shape, DTYPES[dtype][0]), ".npy of another size than its shape's")
    return dtype, shape, raw[end:]


def unshuffle(data, w):
    """Filter 1: byte planes, tile by tile, back to words of w bytes."""
    out = bytearray(len(data))
    for t in range(0, len(data), w << 18):
        words = min(len(data) - t, w << 18) // w
        for b in range(w):
            out[t + b:t + words * w:w] = data[t + b * words:t + (b + 1) * words]
    return bytes(out)


def vlt(raw, ext, chain, xxh64):
    """A tensor in byte planes; chain: the tensors of the last record that had any .vlt."""
    need(len(raw) >= 32 and raw[:4] == b"VLT1", "no .vlt")
    code, filt, rank, tile, xsum, ref_sum, k, zero = struct.unpack_from("<4B2QH6s", raw, 4)
    need(1 <= code <= 15 and filt <= 3 and rank <= 8 and tile == 18 and not any(zero), ".vlt header")
    need(1 <= k <= 1000 if filt > 1 else k == ref_sum == 0, ".vlt reference")
    dtype, end = list(DTYPES)[code - 1], 32 + 8 * rank + k
    at = -(-end // 64) * 64
    need(len(raw) >= at and not any(raw[end:at]), ".vlt padding")
    shape, data, (size, w) = struct.unpack_from("<%dQ" % rank, raw, 32), raw[at:], DTYPES[dtype]
    need(fits(len(data), shape, size), ".vlt of another size than its shape's")
    if filt:
        data = unshuffle(data, w)
    if filt > 1:
        ref_name = raw[32 + 8 * rank:end]
        *said, ref = chain.get(ext, (None, None))
        need(said == [ref_name, dtype, shape, ref_sum], ".vlt whose reference %r is not the tensor before it", ref_name)
        fmt, mask = "<%d%s" % (len(data) // w, " BH I   Q"[w]), (1 << 8 * w) - 1
        pairs = zip(struct.unpack(fmt, data), struct.unpack(fmt, ref))
        words = (z ^ r for z, r in pairs) if filt == 2 else ((z >> 1 ^ -(z & 1)) + r & mask for z, r in pairs)
        data = struct.pack(fmt, *words)
    need(xxh64(data) == xsum, ".vlt decodes to another sum")
    return dtype, shape, data, xsum


def describe(key, members, chain, schema, xxh64):
    """{ext: [dtype, shape, SHA-256 of the raw array]} of a record, and the chain for the next one."""
    out, tensors = {}, {}
    for ext, raw in members.items():
        try:
            if ext.endswith(".vlt"):
                dtype, shape, data, xsum = vlt(raw, ext, chain, xxh64)
                tensors[ext] = ("%s.%s" % (key, ext)).encode(), dtype, shape, xsum, data
            else:
                dtype, shape, data = npy(raw)
                said = schema.get(ext) if type(schema) is dict else None
                if dtype == "<u2" and type(said) is dict and said.get("dtype") == "bf16":
                    dtype = "bf16"
        except ValueError as bad:
            raise ValueError("record %r: %s: %s" % (key, ext, bad)) from None
        out[ext] = [dtype, list(shape), hashlib.sha256(data).hexdigest()]
    return out, tensors or chain
