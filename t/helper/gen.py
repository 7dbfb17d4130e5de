#!/usr/bin/env python3
"""Make messages for tests and the demo, the same ones for the same seed.

    gen.py corpus DIR [--count 300] [--seed 1]
        odd but legal messages: DIR/NNNN.eml, and DIR/NNNN.rcpt with a
        recipient a line. The sender of each is m-NNNN@sender.example.
    gen.py newsletter [--count 1] [--seed 1] [--bsmtp] [--sender A]
           [--domain D]... [--header 'N: V']... [--size KIB]
        a newsletter (MIME, an image, non-ASCII subject) on stdout; with
        --bsmtp a stream of --count of them, the recipients spread over the
        domains.
"""
import argparse
import base64
import email.header
import os
import quopri
import random
import struct
import sys
import zlib

WORDS = ("lorem ipsum dolor sit amet consectetur adipiscing elit sed do "
         "eiusmod tempor incididunt ut labore et dolore magna aliqua").split()


def text(rnd, lines, width=70):
    """Lines of words."""
    out = []
    for _ in range(lines):
        line = rnd.choice(WORDS)
        while len(line) < width - 12:
            line += " " + rnd.choice(WORDS)
        out.append(line)
    return "\n".join(out).encode() + b"\n"


# ---- the corpus: each shape returns (more header lines, body) ------------

def plain(rnd):
    return b"", text(rnd, rnd.randint(1, 20))


def dots(rnd):
    body = [b".", b"..", b"...", b". x", b".x", b" .", b"x.", b".\t", b"..x"]
    rnd.shuffle(body)
    return b"", b"\n".join(body) + b"\n"


def dot_first(rnd):
    return b"", b".first\n" + text(rnd, 2) + b".\n"


def lone_dots(rnd):
    return b"", b".\n" * rnd.randint(1, 40)


def dots_and_blanks(rnd):
    return b"", b"".join(rnd.choice((b".\n", b"\n", b"..\n"))
                         for _ in range(50))


def lines_998(rnd):
    return b"", b"".join(rnd.choice(b"abcxyz").to_bytes(1, "big") * 998 +
                         b"\n" for _ in range(5))


def lines_998_dots(rnd):
    return b"", (b"." * 998 + b"\n" + b"." + b"x" * 997 + b"\n" +
                 b"x" * 997 + b".\n") * rnd.randint(1, 3)


def lines_around_998(rnd):
    return b"", b"".join(b"y" * n + b"\n" for n in range(990, 999))


def header_998(rnd):
    return b"X-Long: " + b"h" * 990 + b"\n", text(rnd, 2)


def latin1(rnd):
    return (b"MIME-Version: 1.0\n"
            b"Content-Type: text/plain; charset=iso-8859-1\n"
            b"Content-Transfer-Encoding: 8bit\n",
            bytes(rnd.randint(0xa0, 0xff) for _ in range(60)) + b"\n")


def all_8bit(rnd):
    return (b"MIME-Version: 1.0\n"
            b"Content-Transfer-Encoding: 8bit\n",
            bytes(range(0x80, 0x100)) + b"\n" + bytes([0xff]) * 998 + b"\n")


def utf8_body(rnd):
    return (b"MIME-Version: 1.0\n"
            b"Content-Type: text/plain; charset=utf-8\n"
            b"Content-Transfer-Encoding: 8bit\n",
            "Grüße, 世界, привет, 🙂\n".encode() * rnd.randint(1, 9))


def utf8_header(rnd):
    return "X-Greeting: Grüße, Zoë 世界\n".encode(), text(rnd, 1)


def encoded_word(rnd):
    subject = email.header.Header("Grüße aus Köln – 世界", "utf-8").encode()
    return b"Comments: " + subject.encode() + b"\n", text(rnd, 3)


def empty_body(rnd):
    return b"", b""


def no_separator(rnd):
    return b"", None


def blank_lines(rnd):
    return b"", b"\n" * rnd.randint(1, 30)


def leading_blanks(rnd):
    return b"", b"\n\n\n \n\t\n" + text(rnd, 2)


def trailing_blanks(rnd):
    return b"", text(rnd, 2) + b"  \n\t\n\n\n\n"


def no_newline(rnd):
    return b"", text(rnd, 3).rstrip(b"\n")


def no_newline_dot(rnd):
    return b"", text(rnd, 1) + b"."


def folded(rnd):
    return (b"X-Folded: one\n two\n\tthree\n  \t four\nX-Next:\n next line\n"
            b"References: " + b"\n ".join(b"<%d@ref.example>" % i
                                          for i in range(60)) + b"\n",
            text(rnd, 2))


def odd_headers(rnd):
    return (b"X-Empty:\nX-Blank: \nX-None:value\nX-Tab:\tvalue\nX-$%&'*_~: y\n"
            b"x-lower: :: ; ,\nX-Same: 1\nX-Same: 2\nX-End: blank \n",
            text(rnd, 1))


def many_headers(rnd):
    return b"".join(b"X-Many-%d: %d\n" % (i, rnd.randint(0, 9999))
                    for i in range(200)), text(rnd, 1)


def long_folded(rnd):
    return b"X-Big: " + b"\n\t".join(b"z" * 900 for _ in range(20)) + b"\n", \
        text(rnd, 1)


def received(rnd):
    return b"".join(b"Received: from h%d.example by h%d.example;\n"
                    b"\tMon, 2 Nov 2026 10:00:%02d +0000\n" % (i + 1, i, i)
                    for i in range(8)), text(rnd, 2)


def from_lines(rnd):
    return b"", b"From here on\n>From there\nFrom a@b Mon Nov  2\n\nFrom \n"


def like_smtp(rnd):
    return b"", (b"QUIT\nRSET\n.\nMAIL FROM:<x@y.example>\nRCPT TO:<z@y>\n"
                 b"DATA\n.\nBDAT 10 LAST\n.\n250 ok\n")


def controls(rnd):
    body = bytes(c for c in range(1, 32) if c not in (10, 13)) + b"\x7f\n"
    return b"", body + b"\x1b[31m\x08\x0c\x0b\n" + b"\x04\n\x1a\n"


def white(rnd):
    return b"", b"tail \ntail\t\n \n\t\n" + b" " * 998 + b"\nend  \n"


def one_char(rnd):
    return b"", b"x\n"


def multipart(rnd):
    blob = bytes(rnd.randint(0, 255) for _ in range(3000))
    return (b"MIME-Version: 1.0\n"
            b"Content-Type: multipart/mixed;\n boundary=\"=_.'b: 1\"\n",
            b"preamble\n--=_.'b: 1\n\ntext\n.\n--=_.'b: 1\n"
            b"Content-Type: application/octet-stream\n"
            b"Content-Transfer-Encoding: base64\n\n" +
            base64.encodebytes(blob) + b"--=_.'b: 1--\nepilogue\n")


def boundaries(rnd):
    """Dots and line ends just before, at and after sizes of buffers."""
    body = b""
    for size in (512, 1024, 4096, 8192, 16384, 32768, 65536):
        at = size + rnd.randint(-3, 3)
        while len(body) < at - 60:
            body += b"f" * 50 + b"\n"
        body += b"g" * max(0, at - len(body) - 1) + b"\n.\n..\n.x\n"
    return b"", body


def big(rnd):
    return b"", text(rnd, 3000)


SHAPES = [plain, dots, dot_first, lone_dots, dots_and_blanks, lines_998,
          lines_998_dots, lines_around_998, header_998, latin1, all_8bit,
          utf8_body, utf8_header, encoded_word, empty_body, no_separator,
          blank_lines, leading_blanks, trailing_blanks, no_newline,
          no_newline_dot, folded, odd_headers, many_headers, long_folded,
          received, from_lines, like_smtp, controls, white, one_char,
          multipart, boundaries, big]


def corpus_message(rnd, number):
    shape = SHAPES[number % len(SHAPES)]
    more, body = shape(rnd)
    head = [b"From: Sender <m-%04d@sender.example>\n" % number,
            b"To: somebody@rcpt.example\n",
            b"Subject: %s %d\n" % (shape.__name__.encode(), number), more]
    if rnd.random() < 0.5:
        head.append(b"Message-ID: <%d.%d@sender.example>\n" %
                    (number, rnd.randint(0, 1 << 30)))
    if rnd.random() < 0.5:
        head.append(b"Date: Mon, 2 Nov 2026 10:%02d:00 +0100\n" %
                    (number % 60))
    rnd.shuffle(head)
    msg = b"".join(head)
    if body is not None:
        msg += b"\n" + body
    if rnd.random() < 0.5:
        msg = msg.replace(b"\n", b"\r\n")
    return msg


def corpus_recipients(rnd, number):
    count = rnd.choice((1, 1, 1, 2, 3, 10))
    if number % 50 == 7:
        count = 150
    return ["r%d-%d@%s.example" % (number, i, rnd.choice(("one", "two")))
            for i in range(count)]


def corpus(args):
    os.makedirs(args.dir, exist_ok=True)
    for number in range(1, args.count + 1):
        rnd = random.Random("%d/%d" % (args.seed, number))
        name = os.path.join(args.dir, "%04d" % number)
        with open(name + ".eml", "wb") as f:
            f.write(corpus_message(rnd, number))
        with open(name + ".rcpt", "w", encoding="ascii") as f:
            f.writelines(r + "\n" for r in corpus_recipients(rnd, number))


# ---- the newsletter -------------------------------------------------------

def png(rnd, size):
    """A picture of noise of about so many octets."""
    side = max(8, int((size / 3) ** 0.5))
    rows = b"".join(b"\0" + rnd.randbytes(3 * side) for _ in range(side))

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + \
            struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) +
            chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def part(kind, encoding, data, extra=b""):
    return (b"Content-Type: " + kind + b"\nContent-Transfer-Encoding: " +
            encoding + b"\n" + extra + b"\n" + data)


def newsletter_template(args):
    """The message with @RCPT@ where the recipient goes."""
    rnd = random.Random(args.seed)
    subject = email.header.Header("Neuigkeiten für Sie: Grüße aus Köln – "
                                  "€ 5 geschenkt ☕", "utf-8").encode()
    words = "".join("Über %s, naïve façade — %s.\n\n" %
                    (rnd.choice(WORDS), text(rnd, 3).decode())
                    for _ in range(10))
    plain_text = quopri.encodestring(words.encode())
    html = "<html><body><img src=\"cid:logo@news.example\">\n%s</body></html>\n"
    html = quopri.encodestring(
        (html % words.replace("\n\n", "<p>\n")).encode())
    rest = args.size * 1024 - len(plain_text) - len(html) - 1500
    image = base64.encodebytes(png(rnd, max(64, rest * 3 // 4)))
    alternative = (
        b"--=_alt\n" + part(b"text/plain; charset=utf-8", b"quoted-printable",
                            plain_text) +
        b"\n--=_alt\n" + part(b"text/html; charset=utf-8",
                              b"quoted-printable", html) +
        b"\n--=_alt--\n")
    head = ["From: =?utf-8?q?Caf=C3=A9_News?= <%s>" % args.sender,
            "To: <@RCPT@>", "Subject: " + subject,
            "List-Unsubscribe: <https://news.example/u?a=@RCPT@>",
            "MIME-Version: 1.0"] + args.header + [
            "Content-Type: multipart/related; boundary=\"=_rel\""]
    return ("\n".join(head).encode() + b"\n\n--=_rel\n" +
            b"Content-Type: multipart/alternative; boundary=\"=_alt\"\n\n" +
            alternative + b"\n--=_rel\n" +
            part(b"image/png; name=\"logo.png\"", b"base64", image,
                 b"Content-ID: <logo@news.example>\n"
                 b"Content-Disposition: inline\n") + b"\n--=_rel--\n")


def newsletter(args):
    template = newsletter_template(args)
    domains = args.domain or ["one.example"]
    out = sys.stdout.buffer
    stuffed = template.replace(b"\n.", b"\n..")
    for i in range(args.count):
        rcpt = b"user%d@%s" % (i, domains[i % len(domains)].encode())
        if not args.bsmtp:
            out.write(template.replace(b"@RCPT@", rcpt))
            continue
        out.write(b"MAIL FROM:<%s>\nRCPT TO:<%s>\nDATA\n" %
                  (args.sender.encode(), rcpt))
        out.write(stuffed.replace(b"@RCPT@", rcpt) + b".\n")


def main():
    ap = argparse.ArgumentParser(usage=__doc__)
    sub = ap.add_subparsers(required=True)
    c = sub.add_parser("corpus")
    c.add_argument("dir")
    c.add_argument("--count", type=int, default=300)
    c.add_argument("--seed", type=int, default=1)
    c.set_defaults(run=corpus)
    n = sub.add_parser("newsletter")
    n.add_argument("--count", type=int, default=1)
    n.add_argument("--seed", type=int, default=1)
    n.add_argument("--size", type=int, default=30)
    n.add_argument("--bsmtp", action="store_true")
    n.add_argument("--sender", default="news@sender.example")
    n.add_argument("--domain", action="append", default=[])
    n.add_argument("--header", action="append", default=[])
    n.set_defaults(run=newsletter)
    args = ap.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
