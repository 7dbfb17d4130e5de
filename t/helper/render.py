#!/usr/bin/python3
"""What a mail merge should have sent, made with nothing of vmta's.

render.py check TEMPLATE LIST STORE [SAMPLE]
    Each message in STORE (or SAMPLE of them, evenly) is what the template and
    the row with its X-Row (column token) make: decoded header fields, decoded
    text parts, all other parts octet by octet. Prints how many were looked at.
render.py bytes TEMPLATE LIST STORE [SAMPLE]
    The same for templates that are sent as they are (8bit, ASCII header): all
    octets, but Message-ID and Date, which vmta adds at the header's end.
render.py list N DOMAINS SEED
    A list of N rows in no order, with what real ones have.
"""

import csv
import email
import email.policy
import glob
import random
import sys

POLICY = email.policy.default


def names(row):
    return {k.lower().replace(' ', '_'): v for k, v in row.items()}


def merge(text, values):
    """Placeholders by hand: find a bracket, look at what follows it."""
    out = []
    i = 0
    while i < len(text):
        j = text.find('[', i)
        if j < 0:
            out.append(text[i:])
            break
        out.append(text[i:j])
        end = text.find(']', j)
        name = text[j + 1:end] if end > 0 else ''
        if text[max(0, j - 2):j] == '<!':
            out.append('[')
            i = j + 1
        elif text[j + 1:j + 2] == '[':
            out.append('[')
            i = j + 2
        elif name.lower() in values:
            out.append(values[name.lower()])
            i = end + 1
        else:
            out.append('[')
            i = j + 1
    return ''.join(out)


def crlf(text):
    return text.replace('\r\n', '\n').replace('\r', '\n')


def fail(what, want, got, name):
    print(f'{name}: {what}:\n want {want!r}\n got  {got!r}', file=sys.stderr)
    sys.exit(1)


def decoded(raw):
    """The text of a header field, as a mail program shows it."""
    value = email.header.make_header(email.header.decode_header(raw))
    return ' '.join(str(value).split())


def address(raw, values, name):
    """The wanted (display name, address) of `phrase <addr>` or `addr`."""
    phrase, sep, addr = raw.partition('<')
    if not sep:
        return '', merge(raw.strip(), values)
    phrase = decoded(phrase.strip().strip('"'))
    return ' '.join(merge(phrase, values).split()), \
        merge(addr.strip().rstrip('>'), values)


def headers(want, got, values, name):
    for field in want.keys():
        raw = want._headers[[k.lower() for k, _ in want._headers].index(
            field.lower())][1]
        if got[field] is None:
            fail(field, raw, None, name)
        if field.lower() in ('from', 'to', 'cc', 'reply-to'):
            a = got[field].addresses[0]
            have = (a.display_name, a.addr_spec)
            need = address(raw, values, name)
            if have != need:
                fail(field, need, have, name)
        elif field.lower() not in ('content-type', 'mime-version',
                                   'content-transfer-encoding'):
            need = ' '.join(merge(decoded(raw), values).split())
            have = ' '.join(str(got[field]).split())
            if have != need:
                fail(field, need, have, name)


def is_merged(part):
    return part.get_content_maintype() == 'text' and \
        part.get_content_disposition() != 'attachment'


def parts(want, got, values, name):
    ws, gs = list(want.walk()), list(got.walk())
    if [p.get_content_type() for p in ws] != \
            [p.get_content_type() for p in gs]:
        fail('parts', len(ws), len(gs), name)
    for w, g in zip(ws, gs):
        if w.is_multipart():
            continue
        if is_merged(w):
            need = crlf(merge(w.get_content(), values))
            have = crlf(g.get_content())
        else:
            need, have = w.as_bytes(), g.as_bytes()
        if need != have:
            fail(w.get_content_type(), need, have, name)


def check_message(template, row, raw, name):
    if any(len(line) > 998 for line in raw.split(b'\r\n')):
        fail('line', '<= 998', 'longer', name)
    head = raw.partition(b'\r\n\r\n')[0]
    if any(b > 127 for b in head):
        fail('header', 'ASCII', head, name)
    for line in head.split(b'\r\n'):
        if b'=?utf-8?' in line and len(line) > 76:
            fail('encoded word', '<= 76', line, name)
    want = email.message_from_bytes(template, policy=POLICY)
    got = email.message_from_bytes(raw, policy=POLICY)
    compat = email.message_from_bytes(template,
                                      policy=email.policy.compat32)
    want._headers = compat._headers
    if got['Message-ID'] is None or got['Date'] is None:
        fail('Message-ID and Date', 'there', None, name)
    headers(want, got, names(row), name)
    parts(want, got, names(row), name)


def check_bytes(template, row, raw, name):
    text = template.decode().replace('\r\n', '\n')
    text = merge(text, names(row)).replace('\n', '\r\n').encode()
    head, sep, body = raw.partition(b'\r\n\r\n')
    lines = head.split(b'\r\n')
    if not lines[-2].startswith(b'Message-ID: <') or \
            not lines[-1].startswith(b'Date: '):
        fail('Message-ID and Date', 'at the end', lines[-2:], name)
    have = b'\r\n'.join(lines[:-2]) + sep + body
    if have != text:
        fail('octets', text, have, name)


def check(how, template, listing, store, sample=0):
    with open(template, 'rb') as f:
        template = f.read()
    files = sorted(glob.glob(store + '/*.eml'))
    if not files:
        fail('messages', 'some', 0, store)
    if sample and len(files) > sample:
        files = [files[i * len(files) // sample] for i in range(sample)]
    want = {}
    for name in files:
        with open(name, 'rb') as f:
            raw = f.read()
        at = raw.find(b'\r\nX-Row: ')
        token = raw[at + 9:raw.index(b'\r\n', at + 9)].decode()
        if token in want:
            fail('token', 'once', token, name)
        want[token] = (name, raw)
    n = 0
    with open(listing, newline='', encoding='utf-8-sig') as f:
        for row in csv.DictReader(f):
            token = names(row)['token']
            if token in want:
                name, raw = want.pop(token)
                how(template, row, raw, name)
                n += 1
    if want:
        fail('tokens', 'of the list', list(want)[:3], store)
    print(n)


FIRST = ['Anna', 'Zoë', 'José María', 'Ян', '李', "D'Arcy", 'Bob "B"', 'Ørjan',
         'Anne-Marie', '', 'Jr., Tom', 'a\\b']
CITY = ['Köln', 'Łódź', 'New York', 'São Paulo', '[first_name]', 'x --b x']
NOTE = ['', 'two\nlines', 'a,b', 'dot\n.\nlines', '.', '\r\n.\r\n',
        'quote "x"', '=?utf-8?q?no?=', 'x' * 300, 'soft=20=\n']


def listing(n, domains, seed):
    random.seed(seed)
    out = csv.writer(sys.stdout, lineterminator='\r\n')
    out.writerow(['Email', 'First Name', 'Last Name', 'City', 'Discount',
                  'Note', 'Token', 'unused'])
    rows = list(range(n))
    random.shuffle(rows)
    for i in rows:
        out.writerow([f'r{i}@d{i % domains}.example', random.choice(FIRST),
                      random.choice(['Smith', 'Müller', 'Ó Briain']),
                      random.choice(CITY), f'{random.randrange(90)} %',
                      random.choice(NOTE), f't{i:07d}', 'x' * 20])


if __name__ == '__main__':
    if sys.argv[1] == 'list':
        listing(*map(int, sys.argv[2:5]))
    else:
        check(check_message if sys.argv[1] == 'check' else check_bytes,
              *sys.argv[2:5], *map(int, sys.argv[5:6]))
