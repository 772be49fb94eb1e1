#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Tests of the demonstration's preparation on made-up inputs; nothing is downloaded."""
import collections
import contextlib
import io
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

import numpy as np
from PIL import Image

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import captions as cap
import check_splits
import concepts
import pairs
import sources

AUTHOR = ['Sergio Luiz Araujo Silva']


class Captions(unittest.TestCase):
    def table(self, function, rows):
        for row in rows:
            *given, want = row
            with self.subTest(function=function.__name__, given=given):
                self.assertEqual(function(*given), want)

    def test_normal(self):
        self.table(cap.normal, [
            ('A frog.', 'frog'), ('The  FROG, 2', 'frog'), ('frog', 'frog'), ('A', 'a'), ('The letter A.', 'letter a'),
            ('Rubik’s cube', 'rubiks cube'), ("Rubik's Cube #3", 'rubiks cube'), ('10 / 4', ''), ('', ''),
            ('ﬁsh_bowl', 'fish bowl'), ('Élan vital', 'élan vital')])

    def test_clean_title(self):
        self.table(cap.clean_title, [
            ('hide_girl', AUTHOR, 'hide girl'), ('RoundPointShovel', [], 'Round Point Shovel'),
            ('magnifying glass 4', [], 'magnifying glass'), ('filmPhoto2', [], 'film Photo'), ('M16', [], ''),
            ('Boeing 747 cockpit', [], 'Boeing 747 cockpit'), ('Clipart by Nicu Buculei - bee', [], ''),
            ('Firefox by Jon Hicks', ['Jon Hicks'], 'Firefox'), ('Tree by Anna Bell', [], 'Tree'),
            ('Stop by the road', [], 'Stop by the road'), ('<b>Fish &amp; chips</b>', [], 'Fish & chips'),
            ('Crawfish (B and W)', [], 'Crawfish black and white'), ('tie - clothing', [], 'tie, clothing'),
            ('see http://example.org/x', [], 'see'), ('12', [], ''), ('x', [], ''), ('\t\n', [], ''),
            ('a\tb\nfrog', [], 'a b frog'), ('w' * 300, [], 'w' * cap.MAX_CAPTION)])

    def test_drop_trailing_number(self):
        self.table(cap.drop_trailing_number, [
            ('frog 2', 'frog'), ('frog2', 'frog'), ('frog #3', 'frog'), ('frog_01a', 'frog'), ('frog 2 3', 'frog'),
            ('M16', 'M16'), ('12', '12'), ('Boeing 747 cockpit', 'Boeing 747 cockpit')])

    def test_stem_words(self):
        self.table(cap.stem_words, [
            ('hide_girl_sergio_luiz_ar_02', AUTHOR, 'hide girl'), ('sergio_luiz_araujo_01', AUTHOR, ''),
            ('bullet_hole_linda_kim_ac', ['Linda Kim'], 'bullet hole'), ('DangerElectrique', [], 'danger electrique'),
            ('frog2', [], 'frog'), ('frog_01a', [], 'frog'), ('aiga_toilets_', [], 'toilets'), ('sm_001', [], 'sm'),
            ('apple_wedge_bw', [], 'apple wedge black and white'), ('car', ['Carlo Rossi'], 'car'),
            ('3floppy_unmount', [], 'floppy unmount'), ('azalea_0_symbol_1m_bwh', [], 'azalea symbol')])

    def test_description(self):
        self.table(cap.clean_description, [
            ('This work is hereby released into the Public Domain.', [], ''), ('HASH(0x89cb06c)', [], ''),
            ('A red barn. Created with Inkscape.', [], 'A red barn.'), ('contact: a.b@example.org', [], ''),
            ('The flag, following the specification at http://example.org/', [], 'The flag')])

    def test_keywords(self):
        self.table(cap.clean_keywords, [
            (['hash', 'frog', 'frog', None, '11', 'hash(0x8a3cd28)', 'map_view'], [], ['frog', 'map view']),
            (['sergio luiz araujo silva'], AUTHOR, [])])
        self.table(cap.with_keywords, [('A frog', ['frog', 'pond'], 'A frog: pond'), ('A frog', ['frog'], '')])

    def test_unique(self):
        self.table(cap.unique, [(['A frog.', 'frog', 'frog: pond', '', '7'], ['A frog.', 'frog: pond'])])


class Concepts(unittest.TestCase):
    def test_xxh64_vectors(self):
        for data, want in ((b'', 0xef46db3751d8e999), (b'a', 0xd24ec4f1a98c6e5b), (b'abc', 0x44bc2cf5ad770999)):
            self.assertEqual(concepts.xxh64(data), want)

    @unittest.skipUnless(shutil.which('xxhsum'), 'no xxhsum here')
    def test_xxh64_against_xxhsum(self):
        for n in (*range(0, 70), 1000):
            data = bytes((7 * i + n) & 255 for i in range(n))
            line = subprocess.run(['xxhsum', '-H1'], input=data, capture_output=True, check=True).stdout
            self.assertEqual(f'{concepts.xxh64(data):016x}', line.split()[0].decode(), n)

    def test_split_shares(self):
        counts = collections.Counter(concepts.split_of(f'key/{i}') for i in range(5000))
        for split, share in (('train', 84), ('val', 8), ('test', 8)):
            self.assertAlmostEqual(counts[split] / 50, share, delta=3)

    def test_union_against_flooding(self):
        rng = random.Random(1)
        n, edges = 60, [(rng.randrange(60), rng.randrange(60)) for _ in range(45)]
        union, label = concepts.Union(n), list(range(n))
        for i, j in edges:
            union.join(i, j)
        for _ in range(n):
            for i, j in edges:
                label[i] = label[j] = min(label[i], label[j])
        self.assertEqual([union.find(i) for i in range(n)], label)
        flat = [m for c in union.components() for m in c]
        self.assertEqual(sorted(flat), list(range(n)))

    def test_join_equal(self):
        union = concepts.Union(4)
        self.assertEqual(union.join_equal([['a', 'b'], [], ['b'], ['c']]), 1)
        self.assertEqual(union.components(), [[0, 2], [1], [3]])

    def test_dhash(self):
        ramp = np.tile(np.arange(9) * 20, (8, 1))
        self.assertEqual(concepts.dhash(ramp), 0)
        self.assertEqual(concepts.dhash(ramp[:, ::-1]), (1 << 64) - 1)
        self.assertEqual(concepts.dhash(np.full((8, 9), 200)), 0)
        grid = np.random.default_rng(2).integers(0, 200, (8, 9))
        self.assertEqual(concepts.dhash(grid), concepts.dhash(grid // 1 + 30))
        one = grid.copy()
        one[3, 4] = 255
        self.assertLessEqual(concepts.popcount(np.uint64([concepts.dhash(grid) ^ concepts.dhash(one)]))[0], 2)

    def test_hash_pairs(self):
        rng = np.random.default_rng(3)
        a, b = rng.integers(0, 256, (2, 32, 32))
        near = lambda h, g: list(concepts.hash_pairs(np.array(h, dtype=np.uint64), g))
        self.assertEqual(near([5, 5], [a, a // 2 + 40]), [(0, 1)], 'a paler copy')
        self.assertEqual(near([0, 15], [a, a]), [(0, 1)], 'distance 4')
        self.assertEqual(near([0, 31], [a, a]), [], 'distance 5')
        self.assertEqual(near([0, 0], [a, b]), [], 'equal hashes of different pictures')
        self.assertEqual(near([0, 0], [a, 255 - a]), [], 'a negative')
        slim, stout = np.full((2, 32, 32), 255)
        slim[2:30, 15:18], stout[2:30, 10:23] = 0, 0
        self.assertEqual(near([1, 1], [slim, stout]), [], 'upright things of different width')


def picture(seed, side=40):
    """A drawing like no other: random blocks."""
    blocks = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((side, side), Image.NEAREST)


def huge_png():
    """The first bytes of a PNG that says it has 40,000 x 40,000 pixels."""
    header = b'IHDR' + struct.pack('>IIBBBBB', 40000, 40000, 8, 2, 0, 0, 0)
    chunk = struct.pack('>I', 13) + header + struct.pack('>I', zlib.crc32(header))
    return b'\x89PNG\r\n\x1a\n' + chunk + struct.pack('>I', 1000) + b'IDAT'


def content(path):
    with open(path, 'rb') as f:
        return f.read()


def png(im):
    out = io.BytesIO()
    im.save(out, 'PNG')
    return out.getvalue()


class WholeRun(unittest.TestCase):
    """A small state folder in the packages' layout, prepared and checked."""
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        bitmaps = {0x1F438: png(picture(1000, 136)), 0x1F3FB: png(picture(1001)), 0x31: png(picture(1002))}
        real = sources.font_bitmaps
        sources.font_bitmaps = lambda path: (bitmaps, 5)
        self.addCleanup(setattr, sources, 'font_bitmaps', real)
        self.write(sources.CLDR, '<ldml><annotations><annotation cp="🐸">face | frog</annotation>'
                   '<annotation cp="🐸" type="tts">frog</annotation></annotations></ldml>')
        self.stamp('animals/frog', picture(1), 'A frog.\nde.utf8=Ein Frosch.\n')
        self.stamp('animals/blank', Image.new('RGBA', (50, 50), (0, 0, 0, 0)), 'Nothing.\n')
        self.write(f'{sources.STAMPS}/animals/frog_mirror.png', png(picture(2)))
        self.clip('animals/frog_2', png(picture(3, 200)), 'Frog 2')
        self.clip('animals/toad_01', png(picture(4)), 'Toad')
        self.clip('unsorted/toad_copy', png(picture(4).convert('P', palette=Image.ADAPTIVE)), 'Bufo &amp; co')
        self.clip('shapes/stars/star_1', png(picture(5)), 'gramastar')
        self.clip('people/cut', png(picture(6))[:150], 'Cut short')
        self.clip('people/huge', huge_png(), 'Huge')
        page = Image.new('RGBA', (400, 400), (0, 0, 0, 0))
        page.paste(picture(7, 60).convert('RGBA'), (300, 20))
        self.clip('people/dwarf', png(page), 'Dwarf')
        for i in range(12):
            self.stamp(f'misc/{"abcdefghijkl"[i]}gizmo', picture(100 + i), 'A gizmo.\n')
            self.clip(f'misc/whatsit_{i:02}', png(picture(200 + i)), f'{"abcdefghijkl"[i] * 3} in brass')
        for i in range(60):
            word = chr(97 + i // 26) + chr(97 + i % 26) + 'o'
            self.clip(f'tools/{word}_thing', png(picture(10 + i)), f'{word} thing')

    def write(self, path, data):
        path = os.path.join(self.dir, 'state/root', path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(data if isinstance(data, bytes) else data.encode())

    def stamp(self, name, im, text):
        self.write(f'{sources.STAMPS}/{name}.png', png(im))
        self.write(f'{sources.STAMPS}/{name}.txt', text)

    def clip(self, name, data, title):
        self.write(f'{sources.CLIPART}/png/{name}.png', data)
        self.write(f'{sources.CLIPART}/svg/{name}.svg', '<svg xmlns="http://www.w3.org/2000/svg"><metadata>'
                   '<Work xmlns="http://web.resource.org/cc/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
                   f'<dc:title>{title}</dc:title></Work></metadata></svg>')

    def prepare(self, name):
        out = os.path.join(self.dir, name)
        os.makedirs(out)
        return out, pairs.prepare(os.path.join(self.dir, 'state'), out, 2)

    def rows(self, out):
        return {path: (split, texts) for split in pairs.SPLITS for path, texts in check_splits.rows(out, split)}

    def test_run(self):
        out, report = self.prepare('out')
        rows = self.rows(out)
        self.assertEqual(len(rows), 1 + 1 + 3 + 24 + 60, report)
        for name in ('gizmo', 'whatsit'):       # joined by caption alone, by file stem alone
            self.assertEqual(len({split for path, (split, _) in rows.items() if name in path}), 1, name)
        frogs = [rows[f'images/{p}.png'] for p in ('emoji/1f438', 'stamps/animals/frog', 'clipart/animals/frog_2')]
        self.assertEqual(len({split for split, _ in frogs}), 1, 'one concept, one split')
        self.assertEqual(frogs[0][1], ['frog', 'frog: face'])
        self.assertEqual(frogs[1][1], ['A frog.'])
        self.assertEqual(rows['images/clipart/animals/toad_01.png'][1][0], 'Toad')
        self.assertIn('Bufo & co', rows['images/clipart/animals/toad_01.png'][1])
        stored = lambda name: content(os.path.join(out, f'images/{name}.png'))
        side = lambda name: max(Image.open(io.BytesIO(stored(name))).size)
        self.assertEqual(stored('clipart/animals/toad_01'), png(picture(4)), 'small PNG are copied')
        self.assertEqual(side('emoji/1f438'), pairs.SIDE)
        self.assertEqual(side('clipart/animals/frog_2'), pairs.SIDE)
        self.assertLess(side('clipart/people/dwarf'), 80, 'cut out of its page')
        text = '\n'.join(report)
        for line in ('blank over white', 'does not decode', 'more than 100 megapixels', 'geometry (shapes/stars)',
                     'no text beside it', 'skin tone by itself', 'no English name', 'same picture as another'):
            self.assertRegex(text, r' 1  \S+: .*' + line.replace('(', r'\(').replace(')', r'\)'))
        self.assertEqual(list(check_splits.crossings(out)), [])

    def test_equal_bytes(self):
        one, two = self.prepare('one')[0], self.prepare('two')[0]
        subprocess.run(['diff', '-r', one, two], check=True)

    def test_planted_faults_are_found(self):
        out = self.prepare('out')[0]
        row = lambda split: content(os.path.join(out, split + '.tsv')).decode().splitlines()[0]
        path, caption = row('train').split('\t')[:2]
        other = row('test').split('\t')[0]
        for name, data, text, want in (
                ('caption', png(picture(500)), f'The {caption.upper()}!', 'caption in common'),
                ('picture', content(os.path.join(out, path)), 'something else', 'the same picture'),
                ('wordless', png(picture(501)), '42', 'without a word')):
            with self.subTest(name):
                fresh = os.path.join(self.dir, name)
                shutil.copytree(out, fresh)
                with open(os.path.join(fresh, 'images/new.png'), 'wb') as f:
                    f.write(data)
                with open(os.path.join(fresh, 'test.tsv'), 'a', encoding='utf-8') as f:
                    f.write(f'images/new.png\t{text}\n')
                self.assertRegex('\n'.join(check_splits.crossings(fresh)), want)
        with open(os.path.join(out, 'val.tsv'), 'a', encoding='utf-8') as f:
            f.write(f'{other}\tcompletely new words\n')
        self.assertRegex('\n'.join(check_splits.crossings(out)), 'named twice')

    def test_refuses_a_foreign_folder(self):
        foreign = os.path.join(self.dir, 'foreign')
        os.makedirs(foreign)
        open(os.path.join(foreign, 'thesis.txt'), 'w').close()
        argv, sys.argv = sys.argv, ['pairs.py', os.path.join(self.dir, 'state'), foreign]
        self.addCleanup(setattr, sys, 'argv', argv)
        with contextlib.redirect_stdout(io.StringIO()), self.assertRaisesRegex(SystemExit, 'not made by this'):
            pairs.main()
        self.assertEqual(os.listdir(foreign), ['thesis.txt'])


if __name__ == '__main__':
    unittest.main()
