#!/usr/bin/env python3
"""Read journal segments and accounting files.

    acct.py rows COLUMN... [COLUMN=VALUE...] -- FILE...
        these columns (TAB between) of the records for which all VALUEs hold
    acct.py finals N -- FILE...
        exactly one d or b record for each of N recipients, and no other
    acct.py load -- FILE...
        a line `FINALS RECIPIENTS D B`: final records, different (msgId,
        rcptIndex) among them, delivered, bounced; every time is read

Files that are not there are passed over (a glob that matched nothing).
"""
import collections
import csv
import datetime
import os
import sys


def records(files):
    """Every record; a file must end with CRLF and have a header row."""
    for name in files:
        if not os.path.exists(name):
            continue
        with open(name, newline="", encoding="utf-8",
                  errors="surrogateescape") as f:
            text = f.read()
        live = name.endswith(".live")
        if not live and text and not text.endswith("\r\n"):
            sys.exit("%s: torn end" % name)
        lines = text.split("\r\n")
        if live:
            lines = lines[:-1]  # a torn record is none
        yield from csv.DictReader([x for x in lines if x], strict=True)


def rows(args, files):
    want = [a for a in args if "=" not in a]
    cond = [a.split("=", 1) for a in args if "=" in a]
    for r in records(files):
        if all(r[k] == v for k, v in cond):
            print("\t".join(r[k] for k in want))


def finals(args, files):
    seen = collections.Counter(
        (r["msgId"], r["rcptIndex"]) for r in records(files)
        if r["type"] in ("d", "b"))
    twice = {k: n for k, n in seen.items() if n != 1}
    if twice:
        sys.exit("more than one final record: %s" % dict(
            list(twice.items())[:5]))
    if len(seen) != int(args[0]):
        sys.exit("%d recipients have a final record, not %s, in %s" % (
            len(seen), args[0], " ".join(files)))


def load(_, files):
    seen = set()
    n = collections.Counter()
    for r in records(files):
        for column in ("timeLogged", "timeQueued"):
            if r.get(column):
                datetime.datetime.strptime(r[column],
                                           "%Y-%m-%d %H:%M:%S%z")
        n[r["type"]] += 1
        if r["type"] in ("d", "b"):
            seen.add((r["msgId"], r["rcptIndex"]))
    print(n["d"] + n["b"], len(seen), n["d"], n["b"])


def main():
    at = sys.argv.index("--")
    {"rows": rows, "finals": finals, "load": load}[sys.argv[1]](
        sys.argv[2:at], sys.argv[at + 1:])


main()
