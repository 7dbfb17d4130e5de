#!/usr/bin/env python3
"""Compare what receivers got with what was sent (gen.py corpus).

    compare.py CORPUS --maildir DIR
    compare.py CORPUS --store DIR --log FILE      (the sink's)

Each message must have reached each of its recipients exactly once, and be
the same byte for byte, apart from line ends (LF or CRLF, one at the end of
the text) and header fields that were added: Received, Return-Path,
Delivered-To, X-Original-To, Envelope-To in front, and one Date and Message-ID where there
was none. Prints what differs; exit 0 when nothing does, else 1.
"""
import argparse
import collections
import glob
import os
import re
import sys

ADDED = {b"received", b"return-path", b"delivered-to", b"x-original-to",
         b"envelope-to"}
MISSING = {b"date", b"message-id"}

# A message that arrived: corpus number, recipients, content.
Arrived = collections.namedtuple("Arrived", "number rcpts data where")


def fields(data):
    """Header fields (with their folded lines) and the rest."""
    head, sep, body = data.partition(b"\n\n")
    if not sep:
        head, body = data.rstrip(b"\n"), None
    found = re.findall(rb"[^\n]*(?:\n[ \t][^\n]*)*", head)
    return [f for f in found if f], body


def name(field):
    return field.partition(b":")[0].strip().lower()


def normal(data):
    data = data.replace(b"\r\n", b"\n")
    return data if data.endswith(b"\n") else data + b"\n"


def without_added(head, original):
    """The header without what was added; None when too much or too little."""
    have = collections.Counter(name(f) for f in head)
    had = collections.Counter(name(f) for f in original)
    extra = have - had
    for n in MISSING:
        if have[n] != max(had[n], 1):
            return None
    out = []
    for f in head:
        n = name(f)
        if extra[n] > 0 and (n in ADDED or n in MISSING):
            extra[n] -= 1
        else:
            out.append(f)
    return out


def differs(sent, got):
    """What differs, or None."""
    sent_head, sent_body = fields(normal(sent))
    got_head, got_body = fields(normal(got))
    rest = without_added(got_head, sent_head)
    if rest is None:
        return "Date or Message-ID missing or doubled"
    if rest != sent_head:
        return "header: %r, not %r" % next(
            (pair[::-1] for pair in zip(sent_head, rest) if pair[0] != pair[1]),
            (len(rest), len(sent_head)))
    if (sent_body or b"") != (got_body or b""):
        a, b = sent_body or b"", got_body or b""
        at = len(os.path.commonprefix([a, b]))
        return "body at %d of %d/%d: %r, not %r" % (
            at, len(a), len(b), b[at:at + 40], a[at:at + 40])
    return None


def from_maildir(path):
    for where in glob.glob(os.path.join(path, "new", "*")):
        with open(where, "rb") as f:
            data = f.read()
        sender = re.search(rb"^Return-Path: <m-(\d+)@", data, re.M | re.I)
        rcpt = re.search(rb"^(?:X-Original|Envelope|Delivered)-To: (.*)$",
                         data, re.M | re.I)
        yield Arrived(int(sender.group(1)), [rcpt.group(1).decode()], data,
                      where)


def from_sink(store, log):
    with open(log, encoding="utf-8") as f:
        lines = [line.rstrip("\n").split("\t") for line in f]
    for line in lines:
        if line[0] != "msg":
            continue
        pairs = [p.split("=", 1) for p in line[1:]]
        one = dict(pairs)
        if not one["reply"].startswith("2"):
            continue
        where = os.path.join(store, "%08d.eml" % int(one["seq"]))
        with open(where, "rb") as f:
            data = f.read()
        rcpts = [re.match(r"<([^>]*)>", v).group(1)
                 for k, v in pairs if k == "rcpt"]
        number = int(re.match(r"<m-(\d+)@", one["from"]).group(1))
        yield Arrived(number, rcpts, data, where)


def compare(corpus, arrived):
    sent, want, faults = {}, {}, []
    for path in glob.glob(os.path.join(corpus, "*.eml")):
        number = int(os.path.basename(path)[:-4])
        with open(path, "rb") as f:
            sent[number] = f.read()
        with open(path[:-4] + ".rcpt", encoding="ascii") as f:
            want[number] = collections.Counter(f.read().split())
    if not sent:
        faults.append("no messages in %s" % corpus)
    got = {number: collections.Counter() for number in sent}
    for a in arrived:
        if a.number not in sent:
            faults.append("%s: never sent" % a.where)
            continue
        got[a.number].update(a.rcpts)
        what = differs(sent[a.number], a.data)
        if what:
            faults.append("%04d %s: %s" % (a.number, a.where, what))
    for number, rcpts in sorted(got.items()):
        for word, diff in (("missing", want[number] - rcpts),
                           ("too many", rcpts - want[number])):
            if diff:
                faults.append("%04d: %s: %s" % (number, word,
                                                " ".join(sorted(diff))))
    return faults


def main():
    ap = argparse.ArgumentParser(usage=__doc__)
    ap.add_argument("corpus")
    ap.add_argument("--maildir")
    ap.add_argument("--store")
    ap.add_argument("--log")
    args = ap.parse_args()
    arrived = from_maildir(args.maildir) if args.maildir else \
        from_sink(args.store, args.log)
    faults = compare(args.corpus, arrived)
    print("\n".join(faults[:50] or ["all the same"]))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
