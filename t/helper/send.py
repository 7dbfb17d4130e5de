#!/usr/bin/env python3
"""Send a corpus (gen.py) over one connection: send.py CORPUS A:P [--bdat]

The reference sender: it shows what a receiver itself does to the messages.
Adds Date and Message-ID where there is none; lines end in CRLF.
"""
import glob
import os
import re
import socket
import sys


def wire(data, number):
    data = data.replace(b"\r\n", b"\n")
    if not data.endswith(b"\n"):
        data += b"\n"
    head = data.partition(b"\n\n")[0]
    if not re.search(rb"^date:", head, re.M | re.I):
        data = b"Date: Mon, 2 Nov 2026 10:00:00 +0000\n" + data
    if not re.search(rb"^message-id:", head, re.M | re.I):
        data = b"Message-ID: <added-%d@x.example>\n" % number + data
    return data.replace(b"\n", b"\r\n")


def say(sock, stream, data, expect):
    sock.sendall(data)
    while True:
        line = stream.readline()
        if line[3:4] == b" ":
            break
    if not line.startswith(expect):
        sys.exit("send: %r: %r" % (data[:60], line))


def main():
    corpus, spec = sys.argv[1:3]
    host, port = spec.rsplit(":", 1)
    sock = socket.create_connection((host.strip("[]"), int(port)), 60)
    stream = sock.makefile("rb")
    say(sock, stream, b"", b"220")
    say(sock, stream, b"EHLO client.example\r\n", b"250")
    for path in sorted(glob.glob(os.path.join(corpus, "*.eml"))):
        number = int(os.path.basename(path)[:-4])
        with open(path, "rb") as f:
            data = wire(f.read(), number)
        mail = b"MAIL FROM:<m-%04d@sender.example>" % number
        if max(data) > 127:
            mail += b" BODY=8BITMIME"
            if max(data.partition(b"\r\n\r\n")[0]) > 127:
                mail += b" SMTPUTF8"
        say(sock, stream, mail + b"\r\n", b"250")
        with open(path[:-4] + ".rcpt", "rb") as f:
            for rcpt in f.read().split():
                say(sock, stream, b"RCPT TO:<" + rcpt + b">\r\n", b"250")
        if "--bdat" in sys.argv:
            say(sock, stream, b"BDAT %d LAST\r\n" % len(data) + data, b"250")
        else:
            say(sock, stream, b"DATA\r\n", b"354")
            data = re.sub(rb"(?m)^\.", b"..", data)
            say(sock, stream, data + b".\r\n", b"250")
    say(sock, stream, b"QUIT\r\n", b"221")


if __name__ == "__main__":
    main()
