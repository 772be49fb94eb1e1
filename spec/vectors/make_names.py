# SPDX-License-Identifier: MIT
"""make_names.py -- shards whose frames are sound and whose members, names or JSON break a rule: FORMAT.md's
sections 3 to 6. The sums and counts are those of what is there, so that nothing else gives it away."""
from make_good import TXT, minimal, other
from shardbytes import (Segment, canonical, cut_name, header, hex64, member, pad, pax, pax_record)

BOAT = b'a red boat'


def shard(tar, key='boat', ext='txt', body=BOAT, more=()):
    """One record, made of these tar bytes; its line in the sums is right."""
    return Segment([(key, [(ext, body, tar)])] + list(more))


def headers():
    def patched(*patch):
        return shard(member('boat.txt', BOAT, patch))
    for what, patch, why in (
            ('mode', (100, b'0000644\0'), 'mode 0644'), ('uid', (108, b'0001750\0'), 'an owner'),
            ('gid', (116, b'0001750\0'), 'a group'), ('mtime', (136, b'14716460000\0'), 'a time'),
            ('uname', (265, b'user'), 'an owner\'s name'), ('gname', (297, b'user'), 'a group\'s name'),
            ('device', (329, b'0000001\0'), 'a device number'), ('prefix', (345, b'folder'), 'the prefix field'),
            ('rest', (511, b'x'), 'a byte in the last twelve'), ('gnu', (257, b'ustar  \0'), 'GNU magic'),
            ('no-magic', (257, bytes(8)), 'no magic, as in tar of old'), ('link-name', (157, b'x'), 'a link name'),
            ('after-name', (99, b'x'), 'a byte behind the name\'s end'),
            ('size-spaces', (124, b'        012 '), 'size with spaces'),
            ('size-binary', (124, b'\x80' + bytes(10) + b'\x0a'), 'size in base 256'),
            ('size-digit-8', (124, b'00000000008\0'), 'size with a digit 8'),
            ('sum', (148, b'000000\0 '), 'a wrong checksum'), ('sum-form', (148, b' 10662\0 '), 'spaces in the checksum')):
        yield 'tar-%s.tar.zst' % what, patched(patch).bytes(), why
    for what, kind, why in (('type-nul', b'\0', 'type NUL'), ('type-link', b'1', 'a hard link'),
                            ('type-symlink', b'2', 'a symbolic link'), ('type-char', b'3', 'a device'),
                            ('type-folder', b'5', 'a folder'), ('type-fifo', b'6', 'a FIFO'),
                            ('type-sparse', b'S', 'a sparse file'), ('type-global', b'g', 'a global PAX header')):
        yield 'tar-%s.tar.zst' % what, patched((156, kind)).bytes(), why
    yield 'tar-symlink-out.tar.zst', shard(header('boat.txt', 0, ((156, b'2'), (157, b'/etc/passwd'))), body=b''
                                           ).bytes(), 'a link to /etc/passwd'
    yield 'tar-size-1g.tar.zst', patched((124, b'10000000001\0')).bytes(), 'a member of 1 GiB and a byte'
    yield 'tar-size-8g.tar.zst', patched((124, b'77777777777\0')).bytes(), 'a member of 8 GiB'
    yield 'tar-size-more.tar.zst', patched((124, b'00000002000\0')).bytes(), 'size goes past the data'
    yield 'tar-size-less.tar.zst', shard(member('boat.txt', BOAT * 90, ((124, b'00000000012\0'),))).bytes(), \
        'content goes on behind the size'
    yield 'tar-padding.tar.zst', shard(member('boat.txt', BOAT, fill=b'\1')).bytes(), 'padding that is not zero'
    yield 'tar-padding-last.tar.zst', shard(member('boat.txt', BOAT)[:-1] + b'\1').bytes(), 'its last byte'
    yield 'tar-no-padding.tar.zst', shard(member('boat.txt', BOAT)[:-502]).bytes(), 'padding is missing at the end'
    yield 'tar-mode.tar', patched((100, b'0000644\0')).plain(), 'plain, mode 0644'
    yield 'tar-padding.tar', shard(member('boat.txt', BOAT, fill=b'\1')).plain(), 'plain, padding'
    yield 'tar-symlink.tar', patched((156, b'2')).plain(), 'plain, a symbolic link'
    long = 'k' * 97 + '.txt'
    short, raw = cut_name(long.encode()), long.encode()
    path = pax_record(b'path=' + raw + b'\n')

    def with_pax(p, name=short):
        return shard(p + header(name, len(BOAT)) + pad(BOAT), 'k' * 97).bytes()
    good = header(short, len(BOAT)) + pad(BOAT)
    for what, b, why in (
            ('float-mtime', with_pax(pax(path + pax_record(b'mtime=1700000000.25\n'))), 'Python\'s mtime'),
            ('size', with_pax(pax(pax_record(b'size=10\n') + path)), 'a size record'),
            ('twice', with_pax(pax(path) + pax(path)), 'two PAX headers'),
            ('two-paths', with_pax(pax(path + path)), 'two path records'),
            ('length', with_pax(pax(b'999' + path[3:])), 'a record length that is a lie'),
            ('length-0', with_pax(pax(b'000' + path[3:])), 'a record of length 0'),
            ('length-spaces', with_pax(pax(b' ' + path)), 'a space before the length'),
            ('no-newline', with_pax(pax(path[:-1] + b'x')), 'a record without its newline'),
            ('empty', with_pax(pax(b'')), 'a PAX header without content'),
            ('padding', with_pax(pax(path, fill=b'\1')), 'padding of the PAX header'),
            ('mode', with_pax(pax(path, ((100, b'0000644\0'),))), 'its mode'),
            ('name', with_pax(pax(path, ((0, b'./PaxHeaders/x\0' + bytes(20)),))), 'as GNU tar names it'),
            ('short-name', with_pax(pax(path), b'k' * 99), 'the short name is cut elsewhere'),
            ('other-name', with_pax(pax(path), b'j' * 100), 'another short name'),
            ('last', shard(member('boat.txt', BOAT) + pax(path)).bytes(), 'nothing follows the PAX header'),
            ('gnu-long', with_pax(header('././@LongLink', len(raw) + 1, ((156, b'L'),)) + pad(raw + b'\0')),
             'GNU\'s way of long names'),
            ('not-needed', shard(pax(pax_record(b'path=boat.txt\n')) + member('boat.txt', BOAT)).bytes(),
             'a PAX header for a short name'),
            ('1001', shard(pax(pax_record(b'path=' + b'k' * 997 + b'.txt\n')) + header(b'k' * 100, len(BOAT)) +
                           pad(BOAT), 'k' * 997).bytes(), 'a name of 1001 bytes'),
            ('1m', shard(pax(pax_record(b'path=' + b'k' * (1 << 20) + b'.txt\n')) + good).bytes(), 'of 1 MiB'),
            ('1g', shard(pax(path, ((124, b'10000000000\0'),)) + good).bytes(), 'a PAX header of 1 GiB')):
        yield 'pax-%s.tar.zst' % what, b, why


def names():
    """A name that no rule allows. The manifest's first key is another record's, which is sound."""
    def named(raw, body=b'x'):
        """The bad record is the second: the first must come out."""
        tar = member(raw, body)
        s = Segment([('ahoy', [('txt', b'ahoy')]), ('zz', [('txt', body, tar)])], index=False)
        s.lines[1] = ''
        s.sums_text = lambda own_line=None: ''.join(s.lines).encode() + hex64(body).encode() + b'  ' + raw + b'\n'
        return s.bytes()
    for what, raw, why in (
            ('latin1', b'gr\xf6sse.txt', 'Latin-1'), ('utf8-cut', b'gr\xc3.txt', 'half a character'),
            ('utf8-overlong', b'a\xc0\xafb.txt', 'an overlong slash'), ('utf8-surrogate', b'a\xed\xa0\x80.txt',
                                                                       'a surrogate'),
            ('utf8-5', b'a\xf8\x88\x80\x80\x80.txt', 'five bytes'), ('utf8-max', b'a\xf4\x90\x80\x80.txt', 'U+110000'),
            ('control', b'a\x1bb.txt', 'ESC'), ('newline', b'a\nb.txt', 'a newline'), ('tab', b'a\tb.txt', 'a tab'),
            ('delete', b'a\x7f.txt', 'DEL'), ('c1', b'a\xc2\x85.txt', 'U+0085'), ('backslash', b'a\\b.txt', 'a backslash'),
            ('parent', b'../x.txt', '..'), ('parent-inner', b'a/../x.txt', '.. inside'), ('here', b'./x.txt', './'),
            ('absolute', b'/etc/x.txt', 'absolute'), ('slash-twice', b'a//x.txt', 'an empty part'),
            ('slash-last', b'a/x.txt/', 'a slash at the end'), ('hidden', b'.x.txt', 'begins with a dot'),
            ('hidden-part', b'.a/x.txt', 'a part begins with a dot'), ('reserved', b'__x.txt', 'begins with __'),
            ('reserved-part', b'a/__b/x.txt', 'a part begins with __'), ('meta', b'__vl__/x.txt', 'the format\'s own'),
            ('meta-hidden', b'__vl__/.x.txt', 'the format\'s own, hidden'), ('no-ext', b'x', 'no extension'),
            ('no-ext-dot', b'x.', 'an empty extension'), ('no-key', b'.txt', 'no key'),
            ('no-key-part', b'a/.txt', 'no key in the last part'), ('ext-upper', b'x.JPG', 'upper case'),
            ('ext-dots', b'x.a..b', 'adjacent dots'), ('ext-dot-last', b'x.a.', 'a dot at its end'),
            ('ext-space', b'x.a b', 'a space'), ('ext-utf8', 'x.ä'.encode(), 'not ASCII'),
            ('ext-256', b'x.' + b'e' * 256, '256 bytes'), ('empty', b'', 'an empty name')):
        yield 'names-%s.tar.zst' % what, named(raw), why


def records():
    def of(*recs, **more):
        return Segment(list(recs), **more).bytes()
    txt = [('txt', b'1')]
    yield 'record-key-twice.tar.zst', of(('a', txt), ('b', txt), ('a', txt)), 'a key twice, in one segment'
    yield 'record-key-twice.tar', Segment([('a', txt), ('b', txt), ('a', txt)]).plain(), 'the same, plain'
    yield 'record-split.tar.zst', of(('a', [('jpg', b'1')]), ('b', txt), ('a', txt)), \
        'a record in two runs of members'
    yield 'record-key-twice-cat.tar.zst', minimal().bytes() + other().bytes() + minimal().bytes(), \
        'a key in two segments of a kind'
    yield 'record-key-twice-cat.tar', minimal().plain() + minimal().plain(), 'the same, plain'
    yield 'record-ext-twice.tar.zst', of(('a', [('txt', b'1'), ('jpg', b'2'), ('txt', b'3')])), 'an extension twice'
    yield 'record-4097.tar.zst', of(('a', [('m%d' % i, b'') for i in range(4097)])), '4097 members'


def with_head(text, body=None, name=None, **more):
    """The manifest's text as given, its id right; body, name: the whole HEAD, its member's name."""
    s = Segment([('m-000', TXT)], **more)
    s.head_text, s.id = text, hex64(text)
    head = member(name or '__vl__/.manifest.%s.json' % s.id, text) if body is None else body(s)
    return s.bytes(head=head)


def manifests():
    good = {'first_key': 'm-000', 'format': 1, 'kind': 'pairs', 'ordinal': 0}

    def but(**new):
        m = dict(good)
        m.update(new)
        return with_head(canonical({k: v for k, v in m.items() if v != 'absent'}))
    for what, b, why in (
            ('format-2', but(format=2), 'format 2'), ('format-0', but(format=0), 'format 0'),
            ('format-real', but(format=1.0), 'format 1.0'), ('format-text', but(format='1'), 'format "1"'),
            ('format-absent', but(format='absent'), 'no format'), ('format-huge', but(format=1 << 64), 'format 2^64'),
            ('kind-absent', but(kind='absent'), 'no kind'), ('kind-number', but(kind=1), 'a kind that is a number'),
            ('kind-empty', but(kind=''), 'an empty kind'), ('kind-24', but(kind='a' * 24), '24 letters'),
            ('kind-upper', but(kind='Pairs'), 'upper case'), ('kind-nul', but(kind='pairs\0x'), 'U+0000 in it'),
            ('first-key', but(first_key='m-001'), 'another first key'), ('first-key-null', but(first_key=None),
                                                                        'null, though there are records'),
            ('first-key-number', but(first_key=0), 'a number'),
            ('not-json', with_head(b'this is no JSON, though the id fits\n'), 'no JSON'),
            ('array', with_head(b'[1]\n'), 'an array'), ('empty', with_head(b''), 'no bytes'),
            ('cut', with_head(canonical(good)[:-4]), 'JSON that is cut'),
            ('two', with_head(canonical(good) * 2), 'two objects'),
            ('utf8', with_head(canonical(good).replace(b'm-000', b'm-\xff00')), 'not UTF-8'),
            ('deep', with_head(b'{"x":' + b'[' * 100000 + b']' * 100000 + b'}\n'), '100,000 brackets'),
            ('1m', with_head(canonical(dict(good, x='y' * (1 << 20)))), 'over 1 MiB'),
            ('id', with_head(canonical(good), name='__vl__/.manifest.%016x.json' % 1), 'another id in its name'),
            ('id-upper', with_head(canonical(good), name='__vl__/.manifest.%s.json' % hex64(canonical(good)).upper()),
             'the id in upper case'),
            ('name', with_head(canonical(good), name='manifest.json'), 'another name'),
            ('name-tail', with_head(canonical(good), name='__vl__/.tail.%s.json' % hex64(canonical(good))),
             'the name of a tail'),
            ('two-members', with_head(canonical(good), lambda s: s.head() + member('x.txt', b'x')), 'a member behind it'),
            ('two-blocks', with_head(canonical(good), lambda s: s.head() + bytes(512)), 'a zero block behind it'),
            ('mode', with_head(canonical(good), lambda s: member('__vl__/.manifest.%s.json' % s.id, s.head_text,
                                                                 ((100, b'0000644\0'),))), 'its mode'),
            ('padding', with_head(canonical(good), lambda s: member('__vl__/.manifest.%s.json' % s.id, s.head_text,
                                                                    fill=b' ')), 'its padding')):
        yield 'manifest-%s.tar.zst' % what, b, why
    yield 'empty-first-key.tar.zst', Segment([], manifest={'first_key': 'x'}).bytes(), 'a first key without records'


def tails():
    def lying(**tail):
        s = Segment([('t-000', TXT), ('t-001', TXT)], tail=tail)
        s.tail_json = {k: v for k, v in s.tail_json.items() if v != 'absent'}
        return s
    for what, tail, why in (
            ('records', {'records': 3}, 'records'), ('records-less', {'records': 1}, 'records'),
            ('records-text', {'records': '2'}, 'records as text'), ('records-negative', {'records': -2}, 'negative'),
            ('records-real', {'records': 2.0}, 'records as a real'), ('records-absent', {'records': 'absent'}, 'none'),
            ('records-huge', {'records': 1 << 64}, '2^64 records'), ('members', {'members': 5}, 'members'),
            ('frames', {'frames': 2}, 'frames'), ('bytes', {'bytes': 6656}, 'bytes'),
            ('bytes-absent', {'bytes': 'absent'}, 'no bytes'), ('content-id', {'content_id': '0' * 64}, 'content id'),
            ('content-id-short', {'content_id': '0' * 63}, '63 digits'), ('content-id-absent', {'content_id': 'absent'}, 'none'),
            ('parents-absent', {'parents': 'absent'}, 'no parents'), ('parents-text', {'parents': 'none'}, 'text'),
            ('parents-id', {'parents': [{'content_id': 'xyz', 'kind': 'pairs'}]}, 'a parent whose id is none'),
            ('parents-kind', {'parents': [{'content_id': '0' * 64, 'kind': 'Pairs!'}]}, 'a parent whose kind is none'),
            ('parents-no-kind', {'parents': [{'content_id': '0' * 64}]}, 'a parent without kind')):
        yield 'tail-%s.tar.zst' % what, lying(**tail).bytes(), 'the tail: ' + why
    yield 'tail-bytes.tar', lying(bytes=6656).plain(), 'plain: its bytes are a lie'
    yield 'tail-bytes-huge.tar', lying(bytes=1 << 60).plain(), 'plain: 2^60 bytes'
    yield 'tail-records.tar', lying(records=3).plain(), 'plain: records'
    s = Segment([('t-000', TXT), ('t-001', TXT)])
    sums, tail = member('__vl__/.sums.%s' % s.id, s.sums_text()), member(s.tail_name(), s.tail_text())
    text = s.sums_text().decode().splitlines(True)

    def with_sums(lines):
        body = lines if isinstance(lines, bytes) else ''.join(lines).encode()
        return s.bytes(tail=member('__vl__/.sums.%s' % s.id, body) + tail)
    flipped = ('0' if text[1][0] != '0' else '1') + text[1][1:]
    for what, b, why in (
            ('sums-wrong', with_sums([text[0], flipped] + text[2:]), 'a line\'s sum'),
            ('sums-name', with_sums([text[0], text[1].replace('t-001', 't-009')] + text[2:]), 'a line\'s name'),
            ('sums-missing', with_sums(text[:-1]), 'the last line'), ('sums-missing-first', with_sums(text[1:]), 'the first'),
            ('sums-twice', with_sums([text[0]] + text), 'a line twice'),
            ('sums-extra', with_sums(text + ['%016x  x.txt\n' % 1]), 'a line of no member'),
            ('sums-order', with_sums([text[1], text[0]] + text[2:]), 'two lines in each other\'s place'),
            ('sums-upper', with_sums([t[:16].upper() + t[16:] for t in text]), 'upper case'),
            ('sums-one-space', with_sums([t.replace('  ', ' ') for t in text]), 'one space'),
            ('sums-crlf', with_sums([t.replace('\n', '\r\n') for t in text]), 'CR LF'),
            ('sums-no-newline', with_sums(''.join(text).encode()[:-1]), 'no newline at the end'),
            ('sums-empty', with_sums(b''), 'no lines'), ('sums-binary', with_sums(bytes(5000)), 'zero bytes'),
            ('sums-long-line', with_sums(b'0' * 5000 + b'\n'), 'a line of 5000 bytes'),
            ('sums-tail-line', s.bytes(tail=member('__vl__/.sums.%s' % s.id, s.sums_text() + (
                '%016x  %s\n' % (1, s.tail_name())).encode()) + tail), 'the sum of the tail'),
            ('tail-missing', s.bytes(tail=sums), 'no tail behind the sums'),
            ('tail-only', s.bytes(tail=tail), 'no sums before the tail'),
            ('tail-swapped', s.bytes(tail=tail + sums), 'the tail before the sums'),
            ('tail-twice', s.bytes(tail=sums + tail + tail), 'two tails'),
            ('tail-more', s.bytes(tail=sums + tail + member('x.txt', b'x')), 'a member behind it'),
            ('tail-zeros', s.bytes(tail=sums + tail + bytes(1024)), 'zero blocks behind it'),
            ('tail-not-json', s.bytes(tail=sums + member(s.tail_name(), b'no JSON\n')), 'no JSON'),
            ('tail-array', s.bytes(tail=sums + member(s.tail_name(), b'[]\n')), 'an array'),
            ('tail-1m', s.bytes(tail=sums + member(s.tail_name(), canonical(dict(s.tail_json, x='y' * (1 << 20))))),
             'over 1 MiB'),
            ('tail-id', s.bytes(tail=sums + member('__vl__/.tail.%016x.json' % 1, s.tail_text())), 'another id'),
            ('tail-padding', s.bytes(tail=sums + member(s.tail_name(), s.tail_text(), fill=b'\1')), 'its padding'),
            ('sums-padding', s.bytes(tail=member('__vl__/.sums.%s' % s.id, s.sums_text(), fill=b'\1') + tail),
             'the sums\' padding'),
            ('tail-mode', s.bytes(tail=sums + member(s.tail_name(), s.tail_text(), ((100, b'0000644\0'),))), 'its mode')):
        yield '%s.tar.zst' % what, b, 'TAIL: ' + why
    yield 'sums-order.tar', s.plain(tail=member('__vl__/.sums.%s' % s.id, ''.join(
        [text[1], text[0]] + text[2:]).encode()) + tail), 'plain: two lines in each other\'s place'


def vectors():
    for group in (headers, names, records, manifests, tails):
        yield from group()
