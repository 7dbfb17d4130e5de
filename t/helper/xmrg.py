#!/usr/bin/python3
"""Merges by XMRG, and what they should have sent, with nothing of vmta's.

xmrg.py make LIST TEMPLATE [PARTS]
    A list (CSV; column email is the recipient) and a template as a stream of
    batch SMTP: one transaction, variables of each recipient before it. The
    template is cut into PARTS parts (1) at line ends; its bracket names are
    those of render.py.
xmrg.py parts STREAM STORE
    Each message in STORE is what the merge in STREAM says: the parts that its
    recipient chose, in his order, with his values, octet by octet (but the
    Message-ID and Date that vmta adds). Prints how many there were.
"""

import csv
import glob
import re
import sys

import render


def quoted(value):
    return '"' + value.replace('\\', '\\\\').replace('"', '\\"') + '"'


def stuffed(lines):
    return ''.join('.' + x if x.startswith('.') else x for x in lines)


def make(listing, template, parts='1'):
    out = sys.stdout
    out.reconfigure(encoding='utf-8', newline='')
    out.write('XACK OFF\nXMRG FROM:<s@y.example>\n')
    with open(listing, newline='', encoding='utf-8-sig') as f:
        for row in csv.DictReader(f):
            for k, v in render.names(row).items():
                if k != 'email' and v != '':
                    out.write(f'XDFN {k}={quoted(v)}\n')
            out.write(f'XDFN email={quoted(render.names(row)["email"])}\n')
            out.write(f'RCPT TO:<{render.names(row)["email"]}>\n')
    with open(template, encoding='utf-8', newline='') as f:
        lines = f.read().replace('\r\n', '\n').splitlines(keepends=True)
    n = int(parts)
    for i in range(n):
        some = lines[i * len(lines) // n:(i + 1) * len(lines) // n]
        out.write(f'XPRT {i + 1}{" LAST" if i == n - 1 else ""}\n')
        out.write(stuffed(some) + '.\n')


ONE = re.compile(r'([A-Za-z*][A-Za-z0-9_]*)=(?:"((?:[^"\\]|\\.|\\)*?)"(?=\s|$)|(\S*))')


def read(stream):
    """Recipients with their variables, and the parts."""
    rcpts, part, now, used, at = {}, {}, {}, False, None
    with open(stream, encoding='utf-8', newline='') as f:
        for line in f.read().split('\n'):
            line = line.rstrip('\r')
            verb = line.split(' ')[0].upper()
            if at is not None:
                if line == '.':
                    at = None
                else:
                    part[at] += (line[1:] if line[:1] == '.' else line) + '\n'
            elif verb == 'XDFN':
                now = {} if used else now
                used = False
                for k, q, w in ONE.findall(line[5:]):
                    now = dict(now)
                    now[k.lower()] = w or re.sub(r'\\(["\\])', r'\1', q)
            elif verb == 'RCPT':
                rcpts[line[line.index('<') + 1:line.index('>')]] = now
                used = True
            elif verb == 'XPRT':
                at = int(line.split(' ')[1])
                part[at] = ''
    return rcpts, part


def parts(stream, store):
    rcpts, part = read(stream)
    files = sorted(glob.glob(store + '/*.eml'))
    for name in files:
        with open(name, 'rb') as f:
            raw = f.read()
        to = re.search(rb'^X-To: (.*)\r$', raw, re.M).group(1).decode()
        values = rcpts.pop(to)
        chosen = values.get('*parts') or ','.join(map(str, sorted(part)))
        text = ''.join(part[int(k)] for k in chosen.split(','))
        names = {k: '' for k in re.findall(r'\[([a-z]\w*)\]', text)}
        names.update(values)
        names['*to'] = to
        text = render.merge(text, names).replace('\n', '\r\n').encode()
        head, sep, body = raw.partition(b'\r\n\r\n')
        lines = head.split(b'\r\n')
        have = b'\r\n'.join(lines[:-2]) + sep + body
        if have != text or not lines[-1].startswith(b'Date: '):
            render.fail('octets', text, have, name)
    if rcpts:
        render.fail('recipients', 'all', list(rcpts), store)
    print(len(files))


if __name__ == '__main__':
    (make if sys.argv[1] == 'make' else parts)(*sys.argv[2:])
