# SPDX-License-Identifier: MIT
"""The demonstration's three sources as records: emoji, stamps and clip-art with their captions.

A record is a dict: key (source/name, unique), source, image (path, or bytes of a PNG), captions (best
first), stem (file name's words, '' where names say nothing). What is left out is counted in `out`."""
import collections
import os
import re
import xml.etree.ElementTree as ET

import captions as cap

FONT = 'usr/share/fonts/truetype/noto/NotoColorEmoji.ttf'
CLDR = 'usr/share/unicode/cldr/common/annotations/en.xml'
STAMPS = 'usr/share/tuxpaint/stamps'
CLIPART = 'usr/share/openclipart'
RASTER = ('.png', '.jpg', '.jpeg', '.gif', '.bmp')
SKIN_TONES = range(0x1F3FB, 0x1F400)

# Folders of pure geometry: nothing in them can be named in words that tell one from the next.
GEOMETRY = ('shapes/stars', 'special/gradients')

# What a picture in a folder is, for titles that do not say it. The longest prefix counts.
NOUNS = {
    'computer/icons': 'icon', 'computer/buttons': 'button', 'buttons': 'button', 'logos': 'logo',
    'computer/folders': 'folder', 'signs_and_symbols/flags': 'flag', 'signs_and_symbols/flags/semaphore': 'semaphore flag',
    'signs_and_symbols/map_symbols': 'map symbol', 'signs_and_symbols/led': 'led', 'signs_and_symbols/clocks': 'clock',
    'signs_and_symbols/hazard': 'hazard sign', 'transportation/aiga-symbols': 'symbol sign',
    'transportation/roadsigns': 'road sign', 'recreation/games/cards': 'playing card',
    'recreation/games/chess': 'chess piece', 'people/smilies': 'smiley', 'people/stickmen': 'stick man',
    'shapes/arrows': 'arrow', 'shapes/callouts': 'speech balloon', 'shapes/flowchart': 'flowchart symbol',
    'shapes/jigsaw': 'jigsaw piece', 'special/patterns': 'pattern', 'people/clothing/hats': 'hat',
}
# Words either of which makes the noun superfluous.
SAME = {'smiley': ('smile', 'face', 'emoticon'), 'flag': ('flags', 'banner', 'bandiera', 'drapeau', 'bandera'),
        'led': ('leds', 'segmented'), 'jigsaw piece': ('jigsaw',), 'clock': ('watch', 'sandglass', 'hourglass'), 'hat': ('cap', 'helmet'),
        'speech balloon': ('callout',), 'playing card': ('card', 'cards'), 'road sign': ('sign', 'light')}
SUITS = {'c': 'clubs', 'd': 'diamonds', 'h': 'hearts', 's': 'spades'}
RANKS = dict(zip(('2', '3', '4', '5', '6', '7', '8', '9', '10', 'a', 'j', 'k', 'q'),
                 'two three four five six seven eight nine ten ace jack king queen'.split()))


def files_below(root, suffixes):
    """Paths relative to root, sorted; links to files count as files."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            if name.lower().endswith(suffixes):
                found.append(os.path.relpath(os.path.join(folder, name), root))
    return sorted(found)


def font_bitmaps(path):
    """({code point: PNG}, number of glyphs that only sequences reach: skin tones, gender, flags)."""
    from fontTools.ttLib import TTFont
    with TTFont(path, lazy=True) as font:
        cmap, strike = font.getBestCmap(), font['CBDT'].strikeData[0]
        found = {code: bytes(strike[glyph].imageData) for code, glyph in cmap.items() if glyph in strike}
        return found, len(set(strike.keys()) - set(cmap.values()))


def emoji(root, out):
    """One record a code point that has both a bitmap and an English name: with sequences left out, a
    base and its skin tones are one record, so no emoji base can be in two splits."""
    name, keywords = {}, {}
    for a in ET.parse(os.path.join(root, CLDR)).getroot().iter('annotation'):
        (name if a.get('type') == 'tts' else keywords)[a.get('cp')] = a.text
    bitmaps, sequences = font_bitmaps(os.path.join(root, FONT))
    out['emoji: glyph of a sequence (skin tone, gender, family, flag)'] += sequences
    records = []
    for code, image in sorted(bitmaps.items()):
        if code in SKIN_TONES:
            out['emoji: skin tone by itself'] += 1
        elif chr(code) not in name:
            out['emoji: no English name'] += 1
        else:
            words = cap.clean_keywords((keywords.get(chr(code)) or '').split('|'), [])
            title = cap.finish(cap.strip_markup(name[chr(code)]))
            records.append(dict(key=f'emoji/{code:x}', source='emoji', stem='', image=image,
                                captions=cap.unique([title, cap.with_keywords(title, words)])))
    return records


def stamps(root, out):
    """Raster stamps with the English line of their text."""
    base = os.path.join(root, STAMPS)
    texts = {p[:-4] for p in files_below(base, ('.txt',))}
    rasters = files_below(base, RASTER)
    records = []
    for path in rasters:
        name = os.path.splitext(path)[0]
        if name not in texts:
            out['stamps: no text beside it (mirrored form)'] += 1
            continue
        with open(os.path.join(base, name + '.txt'), encoding='utf-8', errors='strict') as f:
            line = cap.finish(cap.strip_markup(f.readline()))
        records.append(dict(key='stamps/' + name, source='stamps', image=os.path.join(base, path),
                            stem=cap.stem_words(os.path.basename(name), []), captions=cap.unique([line])))
    out['stamps: vector only'] += len(texts - {os.path.splitext(p)[0] for p in rasters})
    return records


def svg_metadata(path):
    """(title, description, keywords, authors) of an SVG's RDF, or None where it does not parse."""
    title, description, keywords, authors, plain = '', '', [], [], []
    try:
        root = ET.parse(path).getroot()
    except (ET.ParseError, OSError, ValueError):
        return None
    local = lambda e: e.tag.rsplit('}', 1)[-1] if isinstance(e.tag, str) else ''
    work = next((e for e in root.iter() if local(e) == 'Work'), [])
    for e in work:
        kind = local(e)
        if kind == 'title':
            title = ''.join(e.itertext())
        elif kind == 'description':
            description = ''.join(e.itertext())
        elif kind == 'subject':
            keywords += [x.text or '' for x in e.iter() if local(x) == 'li']
        elif kind in ('creator', 'publisher', 'rights'):
            authors += [x.text or '' for x in e.iter() if local(x) in ('title', 'Agent')]
    for e in root:
        if local(e) in ('title', 'desc'):
            plain.append(''.join(e.itertext()))
    authors = sorted({a for a in (cap.strip_markup(a) for a in authors) if a and 'library' not in a.lower()})
    return title.strip(), (description.strip() or ' '.join(plain[-1:])), keywords, authors


def is_collection(title, stems):
    """A title that stands on many files whose names have other words is the name of a set."""
    if cap.BOILERPLATE.search(title) or cap.SET_TITLE.search(title):
        return True
    if len(stems) < 5:
        return False
    words = [w.lower() for w in cap.WORD.findall(cap.split_words(title))
             if len(w) >= 3 and not re.match('symbol|icon|sign', w, re.I)]
    shared = sum(any(w.startswith(s[:4]) for w in words for s in stem.split() if len(s) >= 3) for stem in stems)
    return 2 * shared < len(stems)


def with_noun(text, folder):
    """`armenia` among the flags becomes `armenia flag`."""
    while folder and folder not in NOUNS:
        folder = os.path.dirname(folder)
    noun = NOUNS.get(folder, '')
    have = cap.normal(text).split()
    if not noun or any(w.startswith(h) for w in have for h in (noun.split()[-1], *SAME.get(noun, ()))):
        return text
    return f'{text} {noun}'.strip()


def clipart_captions(item, collection, shared):
    """Title first, then what the description adds, then title and keywords."""
    folder, stem, (title, description, keywords, authors) = item['folder'], item['stem'], item['meta']
    card = re.fullmatch(r'\w+_([cdhs])_(\d+|[ajkq])', item['file']) if 'games/cards' in folder else None
    name = '' if collection else cap.clean_title(title, authors)
    if not name and any(len(w) >= 3 for w in stem.split()):
        name = cap.finish(stem)
    if card:
        name = f'{RANKS.get(card[2], card[2])} of {SUITS[card[1]]}'
    if not name and not cap.BOILERPLATE.search(title) and not cap.SET_TITLE.search(title):
        name = cap.clean_title(title, authors)
    if not name:
        return []
    name = cap.finish(with_noun(name, folder))
    words = cap.clean_keywords(keywords, authors)
    if not words:
        words = [f.replace('_', ' ') for f in folder.split('/') if f not in ('unsorted', 'duplicates', 'special')]
    text = '' if shared else cap.clean_description(description, authors)
    text = text if len(cap.WORD.findall(text)) >= 2 else ''
    return cap.unique([name, text, cap.with_keywords(name, words)])


def clipart(root, out, run):
    """Clip-art with captions out of the SVG that each PNG was drawn from. `run` maps in parallel."""
    base = os.path.join(root, CLIPART)
    svgs = set(files_below(os.path.join(base, 'svg'), ('.svg',)))
    items = []
    for path in files_below(os.path.join(base, 'png'), ('.png',)):
        name, folder = path[:-4], os.path.dirname(path)
        if folder in GEOMETRY:
            out[f'clip-art: geometry ({folder})'] += 1
        elif name + '.svg' not in svgs:
            out['clip-art: no SVG of that name'] += 1
        else:
            items.append(dict(name=name, folder=folder, file=os.path.basename(name)))
    metas = run(svg_metadata, [os.path.join(base, 'svg', i['name'] + '.svg') for i in items])
    for item, meta in zip(items, metas):
        item['meta'] = meta
    out['clip-art: SVG does not parse'] += sum(i['meta'] is None for i in items)
    items = [i for i in items if i['meta']]
    titles, descriptions = collections.defaultdict(list), collections.defaultdict(list)
    for i in items:
        title, description, _, authors = i['meta']
        i['stem'] = cap.stem_words(i['file'], authors)
        titles[title].append(i['stem'])
        descriptions[description].append(title if len(title) else i['stem'])
    named = {t: is_collection(t, stems) for t, stems in titles.items()}
    records = []
    for i in items:
        title, description = i['meta'][:2]
        same = descriptions[description]
        words = clipart_captions(i, named[title], len(same) >= 5 and len(set(same)) >= 3)
        if words:
            records.append(dict(key='clipart/' + i['name'], source='clip-art', stem=i['stem'], captions=words,
                                image=os.path.join(base, 'png', i['name'] + '.png')))
        else:
            out['clip-art: no words in title or name'] += 1
    return records
