# SPDX-License-Identifier: MIT
"""ed25519.py -- signing as in RFC 8032, section 5.1, in whole numbers; slow, and not for real keys."""
import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def _add(a, b):
    """Extended coordinates, RFC 8032 section 5.1.4."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    h, g, k, m = f - e, d - c, d + c, f + e
    return h * g % P, k * m % P, g * k % P, h * m % P


def _times(n, point):
    out = (0, 1, 1, 0)
    while n:
        if n & 1:
            out = _add(out, point)
        point, n = _add(point, point), n >> 1
    return out


def _bytes(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, 'little')


def _base():
    y = 4 * pow(5, P - 2, P) % P
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if x * x % P != xx:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x & 1:
        x = P - x
    return x, y, 1, x * y % P


def _secret(seed):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], 'little')
    return a & ~7 & (1 << 254) - 1 | 1 << 254, h[32:]


def public(seed):
    return _bytes(_times(_secret(seed)[0], _base()))


def sign(seed, message):
    def number(b):
        return int.from_bytes(hashlib.sha512(b).digest(), 'little') % L
    a, prefix = _secret(seed)
    r = number(prefix + message)
    big_r = _bytes(_times(r, _base()))
    s = (r + number(big_r + public(seed) + message) * a) % L
    return big_r + s.to_bytes(32, 'little')


def pem(key):
    """The public key as OpenSSL writes it (RFC 8410)."""
    import base64
    der = bytes.fromhex('302a300506032b6570032100') + key
    return b'-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n' % base64.b64encode(der)
