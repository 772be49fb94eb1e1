# SPDX-License-Identifier: MIT
"""Captions for people out of file metadata, and the normal form by which captions are compared."""
import html
import re
import unicodedata

MAX_CAPTION = 200       # characters
MAX_CAPTIONS = 5

URL = re.compile(r'(?:https?://|ftp://|www\.)\S+|\S+@\S+\.\w+', re.I)
TAG = re.compile(r'<!--.*?-->|</?[a-zA-Z][^<>]*>', re.S)
# A sentence with one of these speaks about the file, its making or its licence, not about the picture.
BOILERPLATE = re.compile(
    r'public domain|copyright|licen[cs]e|creative commons|\bgpl\b|gnu\b|inkscape|sodipodi|illustrator|'
    r'\bsvg|\beps\b|wmf2|\bvector|autotrac|\bclip ?art|contact|submi|sibmission|convert|derive|based on|'
    r'created|generated|designed|authored|produced|drawn (?:for|by)|part of|collection|feel free|'
    r'\byou can\b|can be used|enjoy|version|suitable|this site|\bcolou?r of thy|you site|\bdata from\b|'
    r'easily|edited|good for|re-?use|template|hash ?\(|trabalho|gensplash|i hope|would look|needs a bit|'
    r'made to|budget', re.I)
# Titles that name a set of icons; no use as a caption even where the file's name says nothing.
SET_TITLE = re.compile(r'\bthemes?\b|icon ?set|\bvarious\b|\bexamples?\b', re.I)
# Keywords of the archive's own bookkeeping, and those that every file of a theme carries.
JUNK_KEYWORDS = frozenset('''hash unsorted magick special theme icons computers action application mapsym
    signs_and_symbols lemon_theme_icon united_nations_member menu clipart clip_art shape shapes special
    misc other none unknown mimetypes mime-types appicon stock symbols sign signs'''.split())
# Tokens of file names that name a set or an author by initials.
JUNK_TOKENS = frozenset('''aiga bwh aj md zazou ganson nicu buculei bb archi archite architet architetto
    gnome fs mime stock openclipart'''.split())
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def strip_markup(text):
    """Entities, tags, URLs and addresses out; whitespace collapsed; composed form."""
    text = html.unescape(html.unescape(text or ''))
    text = TAG.sub(' ', text)
    text = URL.sub(' ', text)
    text = ''.join(c if c.isprintable() else ' ' for c in text)
    text = unicodedata.normalize('NFC', text)
    return re.sub(r'\s+', ' ', text).strip()


def split_words(slug):
    """`DangerElectrique_02` -> `danger electrique`: for file names and titles written like them."""
    text = slug.replace('_', ' ').replace('-', ' ').replace('+', ' ').replace('.', ' ')
    text = re.sub(r'([a-zà-ÿ]{2})([A-Z][a-zà-ÿ])', r'\1 \2', text)
    return re.sub(r'\s+', ' ', text).strip()


def drop_trailing_number(text):
    """`frog 2`, `frog2`, `frog #3`, `frog_01a` -> `frog`; `M16` and `Boeing 747 cockpit` stay."""
    while True:
        cut = re.sub(r'(?:[\s_.#-]+v?\.?\d+[a-z]?|(?<=[a-zà-ÿ]{3})\d+[a-z]?)[\s_.#-]*$', '', text, flags=0).rstrip(' _-#')
        if cut == text or not WORD.search(cut):
            return text
        text = cut


def drop_author(text, authors):
    """Takes out `by NAME`, `Clipart by NAME - x` as a whole, and the bare names of two words or more."""
    text = re.sub(r'^clip ?art by .*$', '', text, flags=re.I)
    for name in authors:
        name = strip_markup(name)
        if len(name) >= 4:
            pattern = r'[\s,(-]*\b(?:by|from|author:?|da|di|par)\s+' + re.escape(name) + r'\)?'
            text = re.sub(pattern, ' ', text, flags=re.I)
            if ' ' in name:
                text = re.sub(re.escape(name), ' ', text, flags=re.I)
    text = re.sub(r'[\s,(-]+(?:made|drawn|done|produced|authored)?\s*\bby\s+[A-Z][\w.]*(?:\s+[A-Z][\w.]*){0,2}\)?$', '', text)
    return re.sub(r'\s+', ' ', text).strip(' ,;-')


def slug(text):
    text = unicodedata.normalize('NFD', text)
    return re.sub(r'[^a-z0-9]+', '_', text.lower().encode('ascii', 'replace').decode()).strip('_')


def is_author(tail, names, shortest):
    """True if the tail of a file name is one of the names, or its first part, with or without the
    letter or two that the archive put behind it to tell revisions apart."""
    for t in (tail, re.sub(r'_[a-z]{1,2}$', '', tail)):
        if any(n.startswith(t) and len(t) >= shortest or len(n) >= 5 and t.startswith(n) for n in names):
            return True
    return False


def stem_words(stem, authors):
    """The words of a file name without author and numbers: `hide_girl_sergio_luiz_ar_02` -> `hide girl`.

    The archive cut its names at about 24 characters, often inside the author, so a tail of the stem
    goes if it is the beginning of an author's name."""
    text = drop_trailing_number(re.sub(r'(?<=\d)r$', '', stem.strip('_ ')))
    text = re.sub(r'(?<=_)\d+[a-z]?r?$', '', text).strip('_- ')
    tokens = re.split(r'[_ ]+', text)
    names = [s for s in (slug(a) for a in authors) if s]
    for i in range(len(tokens)):
        if is_author(slug('_'.join(tokens[i:])), names, 8 if i == 0 else 2 if len(stem) >= 20 else 3):
            tokens = tokens[:i]
            break
    words = split_words(drop_trailing_number('_'.join(tokens))).lower().split()
    words = [re.sub(r'^\d+(?=[a-z]{3})', '', w) for w in words]
    kept = [w for w in words if w not in JUNK_TOKENS and not re.fullmatch(r'v?\d+[a-z]{0,2}|[a-z]\d+|[a-z]{2}0\d', w)]
    kept = ['black and white' if w == 'bw' else w for w in kept]
    return ' '.join(kept)


def clean_title(title, authors):
    """A title fit for people, or '' if nothing is left of it."""
    text = drop_author(strip_markup(title), authors)
    if '_' in text or ' ' not in text:
        text = split_words(text)
    text = re.sub(r'\(b and w\)|\bb\s?&\s?w\b', 'black and white', text, flags=re.I)
    text = re.sub(r'\s+bw$', ' black and white', drop_trailing_number(text))
    text = re.sub(r'\s+-\s+RPG map elements$|\bopenclipart\b|\b0\d\b', ' ', text)
    return finish(re.sub(r'\s+-\s+', ', ', text))


def clean_description(text, authors):
    """The sentences that describe the picture, at most MAX_CAPTION characters of them; may be ''."""
    text = drop_author(strip_markup(text), authors)
    kept = ''
    for sentence in re.split(r'(?<=[.!?])\s+|\s*\.{3,}\s*', text):
        if not sentence or BOILERPLATE.search(sentence):
            continue
        if kept and len(kept) + 1 + len(sentence) > MAX_CAPTION:
            break
        kept = f'{kept} {sentence}'.strip()
    kept = re.sub(r'(?:,? following the specification)?\s+(?:at|see|from|visit):?$', '', kept)
    return finish(kept)


def finish(text):
    """Length bound at a word's end; a caption needs a word of two letters or more."""
    text = re.sub(r'\s+', ' ', text).strip(' ,;:-_/*')
    if len(text) > MAX_CAPTION:
        text = text[:MAX_CAPTION].rsplit(' ', 1)[0].rstrip(' ,;:-')
    return text if any(len(w) > 1 for w in WORD.findall(text)) else ''


def clean_keywords(words, authors):
    """Unique keywords in their order, without bookkeeping, authors and numbers."""
    names = {slug(a) for a in authors}
    out = []
    for word in words:
        word = strip_markup(word).lower()
        if word in JUNK_KEYWORDS or re.search(r'hash ?\(|0x[0-9a-f]+|@|www\.', word) or slug(word) in names:
            continue
        word = finish(word.replace('_', ' '))
        if word and word not in out:
            out.append(word)
    return out


def with_keywords(name, keywords):
    """`frog: animal, green`; '' if the keywords add nothing to the name."""
    have = set(normal(name).split())
    new = [k for k in keywords if not set(normal(k).split()) <= have]
    return finish(f'{name}: {", ".join(new)}') if new else ''


def normal(caption):
    """The normal form: lower case letters in words; no digits, punctuation or leading article.
    Captions with equal normal forms are one concept. '' only for captions without a letter."""
    text = unicodedata.normalize('NFKC', caption).lower()
    words = WORD.findall(text.replace("'", '').replace('’', ''))
    while len(words) > 1 and words[0] in ('a', 'an', 'the'):
        words = words[1:]
    return ' '.join(words)


def unique(captions):
    """The captions in order, at most MAX_CAPTIONS; each has a word that the earlier ones do not have."""
    out, seen = [], set()
    for caption in captions:
        words = set(normal(caption).split())
        if words - seen and len(out) < MAX_CAPTIONS:
            seen |= words
            out.append(caption)
    return out
