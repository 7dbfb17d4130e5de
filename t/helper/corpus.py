#!/usr/bin/env python3
"""What else is done with a corpus (gen.py corpus).

    corpus.py bsmtp CORPUS
        all of it as one stream of batch SMTP on stdout; each message keeps
        its line ends
    corpus.py decoded CORPUS --store DIR --log FILE
        compare what the sink stored, as compare.py does, but let a message
        with octets above 127 in its body be re-encoded: then the octets that
        arrive are below 128, no line is longer than 998, and what Python's
        email makes of header and parts is the same as of the original
"""
import email
import glob
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compare  # noqa: E402 (the module is beside this one)

# What 8-bit text without a name is called when re-encoded (RFC 1428).
UNNAMED = "unknown-8bit"
ENCODING = {"mime-version", "content-type", "content-transfer-encoding"}


def messages(corpus):
    for path in sorted(glob.glob(os.path.join(corpus, "*.eml"))):
        with open(path, "rb") as f:
            data = f.read()
        with open(path[:-4] + ".rcpt", "rb") as f:
            rcpts = f.read().split()
        yield int(os.path.basename(path)[:-4]), rcpts, data


def bsmtp(corpus):
    out = sys.stdout.buffer
    for number, rcpts, data in messages(corpus):
        out.write(b"MAIL FROM:<m-%04d@sender.example>\n" % number)
        for rcpt in rcpts:
            out.write(b"RCPT TO:<" + rcpt + b">\n")
        if not data.endswith(b"\n"):
            data += b"\n"
        out.write(b"DATA\n" + re.sub(rb"(?m)^\.", b"..", data) + b".\n")


def meaning(data):
    """Header without what re-encoding changes, and decoded parts."""
    msg = email.message_from_bytes(compare.normal(data))
    head = [(k, v) for k, v in msg.items() if k.lower() not in ENCODING and
            k.lower().encode() not in compare.ADDED | compare.MISSING]
    parts = [(p.get_content_type(), p.get_param("charset") or UNNAMED,
              (p.get_payload(decode=True) or b"").replace(b"\r\n", b"\n"))
             for p in msg.walk() if not p.is_multipart()]
    return head, parts


def reencoded(sent, got):
    """What differs, or None."""
    if max(got) > 127:
        return "an octet above 127"
    if max(len(line) for line in got.split(b"\n")) > 999:
        return "a line of more than 998 octets"
    (sent_head, sent_parts), (got_head, got_parts) = meaning(sent), \
        meaning(got)
    if sent_head != got_head:
        return "header: %.400r, not %.400r" % (got_head, sent_head)
    if sent_parts != got_parts:
        return "content: %.400r, not %.400r" % (got_parts, sent_parts)
    return None


def decoded(corpus, store, log):
    exact = compare.differs
    count = 0

    def differs(sent, got):
        nonlocal count
        if max(sent) < 128:
            return exact(sent, got)
        count += 1
        return reencoded(sent, got)

    compare.differs = differs
    faults = compare.compare(corpus, compare.from_sink(store, log))
    print("\n".join(faults[:50] or ["%d re-encoded" % count]))
    sys.exit(1 if faults or not count else 0)


def main():
    if sys.argv[1] == "bsmtp":
        bsmtp(sys.argv[2])
    else:
        args = dict(zip(sys.argv[3::2], sys.argv[4::2]))
        decoded(sys.argv[2], args["--store"], args["--log"])


if __name__ == "__main__":
    main()
