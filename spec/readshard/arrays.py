# SPDX-License-Identifier: MIT
"""arrays.py -- .npy and .vlt members, after section 9 of FORMAT.md. See readfile.py --tensors."""
import ast
import struct

from readshard import need, xxh64

DTYPES = {  # bytes of a number and of a word, in the order of their codes
    "<f2": (2, 2), "<f4": (4, 4), "<f8": (8, 8), "bf16": (2, 2), "|u1": (1, 1), "|i1": (1, 1),
    "<u2": (2, 2), "<i2": (2, 2), "<u4": (4, 4), "<i4": (4, 4), "<u8": (8, 8), "<i8": (8, 8),
    "|b1": (1, 1), "<c8": (8, 4), "<c16": (16, 8)}


def fits(n_bytes, shape, item):
    """Has an array of this shape n_bytes? Stops before a product of hostile numbers is long."""
    n = item
    for d in shape if 0 not in shape else (0,):
        n *= d
        if n > n_bytes:
            return False
    return n == n_bytes


def npy(raw):
    """NumPy's own format: magic, version, length of the header, a Python dict, the numbers."""
    need(raw[:6] == b"\x93NUMPY" and raw[6:8] in (b"\1\0", b"\2\0", b"\3\0"), "no known .npy")
    at = 10 if raw[6] == 1 else 12
    end = at + int.from_bytes(raw[8:at], "little")
    need(end <= min(len(raw), 65536), ".npy header of %d bytes", end)
    try:
        text = raw[at:end].decode("utf-8" if raw[6] == 3 else "latin-1")
        head = ast.literal_eval(text.strip())
        dtype, order, shape = head["descr"], head["fortran_order"], head["shape"]
        known = len(head) == 3 and dtype in DTYPES and dtype != "bf16" and order is False
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        known = False
    need(known and type(shape) is tuple and all(type(d) is int and d >= 0 for d in shape),
         ".npy header")
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


def vlt(raw, ext, chain):
    """A tensor in byte planes; chain: the tensors of the last record that had any .vlt."""
    need(len(raw) >= 32 and raw[:4] == b"VLT1", "no .vlt")
    code, filt, rank, tile, xsum, ref_sum, k, zero = struct.unpack_from("<4B2QH6s", raw, 4)
    need(1 <= code <= 15 and filt <= 3 and rank <= 8 and tile == 18, ".vlt header")
    need(not any(zero), ".vlt header: bytes that must be zero")
    need(1 <= k <= 1000 if filt > 1 else k == ref_sum == 0, ".vlt reference")
    dtype, end = list(DTYPES)[code - 1], 32 + 8 * rank + k
    at, (size, w) = end + -end % 64, DTYPES[dtype]
    need(len(raw) >= at and not any(raw[end:at]), ".vlt padding")
    shape, data = struct.unpack_from("<%dQ" % rank, raw, 32), raw[at:]
    need(fits(len(data), shape, size), ".vlt of another size than its shape's")
    if filt:
        data = unshuffle(data, w)
    if filt > 1:
        name = raw[32 + 8 * rank:end]
        *said, ref = chain.get(ext, (None, None))
        need(said == [name, dtype, shape, ref_sum], ".vlt whose reference %r is not there", name)
        form, mask = "<%d%s" % (len(data) // w, " BH I   Q"[w]), (1 << 8 * w) - 1
        pairs = zip(struct.unpack(form, data), struct.unpack(form, ref))
        words = ((z >> 1 ^ -(z & 1)) + r & mask for z, r in pairs) if filt == 3 else \
            (z ^ r for z, r in pairs)
        data = struct.pack(form, *words)
    need(xxh64([data]) == xsum, ".vlt decodes to another sum")
    return dtype, shape, data, xsum
