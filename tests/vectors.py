# SPDX-License-Identifier: MIT
"""vectors.py -- what vlkit's readers say of all shards of spec/vectors, in the form of its EXPECT.tsv.

usage: vectors.py FOLDER                    reads FOLDER/good and FOLDER/bad, prints lines of EXPECT.tsv
       vectors.py --compare EXPECT SEEN     prints a line a file: 0 or 1, its name, what differs
       vectors.py --second READSHARD FOLDER EXPECT     prints where the second reader (its folder) differs in
                                                       verdict or keys, from pipes, files and for arrays
       vectors.py --salvaged READSHARD FOLDER EXPECT   prints where it does not take what vlcat --skip-bad saved

The tools are those in PATH. tests/vectors.sh says what the columns are.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import threading

WAYS = (('file', False, []), ('pipe', True, []), ('file+skip', False, ['--skip-bad']), ('pipe+skip', True, ['--skip-bad']))


def message(lines):
    """What stderr said of a file, one line behind the other; long ones are cut."""
    return ' / '.join(line if len(line) <= 160 else line[:160] + '...' for line in lines[:3])


def feed(folder, pipes, names):
    """Writes each file into its pipe, as far as it is read."""
    for name in names:
        with open(os.path.join(folder, name), 'rb') as f:
            data = f.read()
        try:
            with open(os.path.join(pipes, name), 'wb') as f:
                f.write(data)
        except BrokenPipeError:
            pass


def run(command, folder, names, pipes=None):
    """One run over all files: {name: (exit, keys, message)}. Exit is 1 of those that stderr speaks of, and the
    run's own status must be that of the worst."""
    place = pipes or folder
    if pipes:
        thread = threading.Thread(target=feed, args=(folder, pipes, names))
        thread.start()
    p = subprocess.run(command + [os.path.join(place, n) for n in names], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    if pipes:
        thread.join()
    keys, said = {n: [] for n in names}, {n: [] for n in names}
    for line in p.stdout.decode().split('\n'):
        if line.startswith('{') and '"key"' in line:
            record = json.loads(line)
            keys[os.path.relpath(record['file'], place)].append(record['key'])
    start = command[0] + ': ' + place + '/'
    for line in p.stderr.decode('utf-8', 'backslashreplace').split('\n'):
        if line:
            assert line.startswith(start), line
            name, text = line[len(start):].split(': ', 1)
            said[name].append(text)
    assert p.returncode == int(any(said.values())), p.returncode
    return {n: (int(bool(said[n])), ','.join(keys[n]), message(said[n])) for n in names}


def tensors(path):
    p = subprocess.run(['vlcat', '-q', '--plain', '--to', 'npz', '-o', os.devnull, path], stderr=subprocess.PIPE)
    lines = p.stderr.decode('utf-8', 'backslashreplace').split('\n')
    return p.returncode, '', message([x.replace('vlcat: %s: ' % path, '') for x in lines if x])


def ways(folder, names):
    """{how: {name: (exit, keys, message)}}"""
    out = {}
    with tempfile.TemporaryDirectory() as pipes:
        for part in ('good', 'bad'):
            os.mkdir(os.path.join(pipes, part))
        for n in names:
            os.mkfifo(os.path.join(pipes, n))
        for how, piped, options in WAYS:
            out[how] = run(['vlls', '--json'] + options, folder, names, pipes if piped else None)
    key = ['vlls', '--verify', os.path.join(folder, 'signed.pub')]
    out['verify'] = run(key, folder, [n for n in names if '/sign' in n])
    arrays = [n for n in names if re.search('/(vlt-|npy|float-)', n)]
    out['tensors'] = {n: tensors(os.path.join(folder, n)) for n in arrays}
    return out


def expectation(text):
    """As a regular expression: what libraries say is left open."""
    if not text:
        return '-'
    text = re.sub(r'([\\.^$*+?{}\[\]|()])', r'\\\1', text).replace('\t', ' ')
    return re.sub('(does not decode: |JSON: ).*', r'\1.*', text)


def look(folder):
    print('# file\thow\texit\tkeys\tmessage')
    names = ['%s/%s' % (p, n) for p in ('good', 'bad') for n in sorted(os.listdir(os.path.join(folder, p)))]
    seen = ways(folder, names)
    for name in names:
        same = {}
        for how in seen:
            if name in seen[how]:
                same.setdefault(seen[how][name], []).append(how)
        for (rc, keys, text), hows in same.items():
            print('%s\t%s\t%d\t%s\t%s' % (name, ','.join(hows), rc, keys or '-', expectation(text)))


def table(path):
    """{file: {how: (exit, keys, message)}}"""
    out = {}
    with open(path, encoding='utf-8') as f:
        for line in f:
            if line.startswith('#'):
                continue
            name, hows, rc, keys, text = line.rstrip('\n').split('\t')
            for how in hows.split(','):
                out.setdefault(name, {})[how] = (rc, keys, text)
    return out


def unlike(want, got):
    for how in sorted(set(want) | set(got)):
        if how not in want or how not in got:
            yield '%s: only in %s' % (how, 'EXPECT.tsv' if how in want else 'what was seen')
            continue
        w, g = want[how], got[how]
        text = re.sub(r'\\(.)', r'\1', g[2])
        if w[:2] != g[:2] or (not re.fullmatch(w[2], text) if w[2] != '-' else text != '-'):
            yield '%s: wanted exit %s, keys %s, message %s' % ((how,) + w)
            yield '%s: got exit %s, keys %s, message %s' % (how, g[0], g[1], text)


def verdict(name, got):
    """A good file ends with 0 in every way, a bad one in some way with 1, and in none with anything else."""
    codes = {g[0] for g in got.values()}
    if name.startswith('good/') and codes != {'0'}:
        yield 'good, but a reader complains'
    if name.startswith('bad/') and (not codes <= {'0', '1'} or '1' not in codes):
        yield 'bad, but exits are %s' % ' '.join(sorted(codes))


def compare(expect, seen):
    want, got = table(expect), table(seen)
    for name in sorted(set(want) | set(got)):
        faults = list(unlike(want.get(name, {}), got.get(name, {}))) + list(verdict(name, got.get(name, {})))
        print('%d\t%s\t%s' % (1 if faults else 0, name, '|'.join(faults).replace('\t', ' ')))


def read_second(readshard, program, options, paths):
    """What the second reader says: keys of each path, and those that it refuses."""
    keys, bad = {p: [] for p in paths}, set()
    p = subprocess.run([sys.executable, '-B', os.path.join(readshard, program)] + options + paths,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for line in p.stdout.decode().split('\n'):
        if line.startswith('{"bytes":'):     # of a record
            record = json.loads(line)
            keys[record['file']].append(record['key'])
    for line in p.stderr.decode('utf-8', 'backslashreplace').split('\n'):
        if line:
            assert line.startswith('readshard: '), line
            bad.add(line[11:].split(': ')[0])
    return keys, bad


def contains(whole, part):
    """Are the keys of part among those of whole, in their order?"""
    rest = iter(whole)
    return all(key in rest for key in part)


def second(readshard, folder, expect):
    """What the second reader says otherwise. readshard.py reads as from a pipe, readfile.py files; where it must
    decode arrays, a shard is good when all of them are. --skip-bad gives what the second reader gives without, or
    more, and just that where it finds nothing wrong."""
    want = table(expect)
    for how, program, option in (('pipe', 'readshard.py', []), ('file', 'readfile.py', []),
                                 ('tensors', 'readfile.py', ['--tensors'])):
        names = sorted(n for n in want if how in want[n])
        keys, bad = read_second(readshard, program, option, [os.path.join(folder, n) for n in names])
        for name in names:
            rc, out, _ = want[name][how]
            path = os.path.join(folder, name)
            got = ','.join(keys[path]) or '-'
            if (rc == '1') != (path in bad) or (got != out and how != 'tensors'):
                print('%s, %s: exit %d, keys %s; EXPECT.tsv: exit %s, keys %s' % (name, how, path in bad, got, rc, out))
            if how == 'tensors':
                continue
            rc, out, _ = want[name][how + '+skip']
            saved = [] if out == '-' else out.split(',')
            if not contains(saved, keys[path]) or (path not in bad and (rc == '1' or saved != keys[path])):
                print('%s, %s+skip: keys %s; EXPECT.tsv: exit %s, keys %s' % (name, how, got, rc, out))


def salvaged(readshard, folder, expect):
    """What vlcat --skip-bad saves of each vector is a shard that the second reader takes, with the keys of the line; where
    it saves nothing, the line says so."""
    want = table(expect)
    with tempfile.TemporaryDirectory() as out:
        paths = {}
        for i, name in enumerate(sorted(want)):
            for how, source in (('file+skip', os.path.join(folder, name)), ('pipe+skip', '-')):
                path = os.path.join(out, '%d.%s.tar.zst' % (i, how))
                with open(os.path.join(folder, name), 'rb') as f:
                    subprocess.run(['vlcat', '-q', '--skip-bad', '-o', path, source], stderr=subprocess.DEVNULL,
                                   input=f.read() if source == '-' else b'')
                paths[name, how] = path
        made = {k: p for k, p in paths.items() if os.path.exists(p)}
        keys, bad = read_second(readshard, 'readshard.py', [], list(made.values()))
        for (name, how), path in paths.items():
            rc, text, _ = want[name][how]
            if (name, how) not in made:
                if rc == '0' and text != '-':
                    print('%s, %s: vlcat saves nothing, EXPECT.tsv has exit 0' % (name, how))
            elif path in bad or (','.join(keys[path]) or '-') != text:
                print('%s, %s: saved %s%s; EXPECT.tsv: %s' % (name, how, ','.join(keys[path]), ' (refused)' * (path in bad), text))
        print('# %d of %d saved' % (len(made), len(paths)))


if __name__ == '__main__':
    if sys.argv[1] == '--compare':
        compare(*sys.argv[2:])
    elif sys.argv[1] == '--second':
        second(*sys.argv[2:])
    elif sys.argv[1] == '--salvaged':
        salvaged(*sys.argv[2:])
    else:
        sys.stdout.reconfigure(encoding='utf-8')
        look(sys.argv[1])
