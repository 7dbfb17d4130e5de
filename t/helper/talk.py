#!/usr/bin/env python3
"""Hold an SMTP dialogue: talk.py ADDRESS:PORT [SOURCE-ADDRESS] < SCRIPT

Lines of the script:
    > TEXT    send TEXT and CRLF
    >> TEXT   send TEXT, in which \\r \\n \\0 \\t \\\\ \\xHH are what C makes of them
    + TEXT    as `>`, but held back and sent together with the next one
    < TEXT    read a whole reply; its first line must begin with TEXT
    <<        read a whole reply and print it
    eof       the server must close now
    reset     the connection must be reset now
    # ...     nothing
Exit 0 when all was as the script says, else 1 and what was not, on stderr.
"""
import re
import socket
import sys

TIMEOUT = 60


class Wrong(Exception):
    pass


def connect(spec, source):
    host, port = spec.rsplit(":", 1)
    src = (source, 0) if source else None
    sock = socket.create_connection((host.strip("[]"), int(port)), TIMEOUT, src)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def escapes(text):
    def one(m):
        esc = m.group(1)
        if esc[0] == "x":
            return bytes([int(esc[1:], 16)])
        return {"r": b"\r", "n": b"\n", "0": b"\0", "t": b"\t",
                "\\": b"\\"}[esc]

    out, at = b"", 0
    for m in re.finditer(r"\\(x[0-9a-fA-F]{2}|.)", text):
        out += text[at:m.start()].encode() + one(m)
        at = m.end()
    return out + text[at:].encode()


def reply(stream):
    """All lines of a reply, without line ends."""
    lines = []
    while True:
        line = stream.readline()
        if not line.endswith(b"\r\n"):
            raise Wrong("no whole reply but %r" % line)
        lines.append(line[:-2].decode("utf-8", "backslashreplace"))
        if lines[-1][3:4] != "-":
            return lines


def ended(stream, how):
    try:
        found = stream.read(1)
    except ConnectionResetError:
        if how == "reset":
            return
        raise Wrong("reset, not closed") from None
    if found or how == "reset":
        raise Wrong("%r instead of %s" % (found, how))


def step(sock, stream, held, line):
    """Do one line of the script; returns what is held back."""
    verb, _, text = line.partition(" ")
    if verb == "+":
        return held + text.encode() + b"\r\n"
    if verb == ">":
        sock.sendall(held + text.encode() + b"\r\n")
    elif verb == ">>":
        sock.sendall(held + escapes(text))
    elif verb == "<":
        lines = reply(stream)
        if not lines[0].startswith(text):
            raise Wrong("expected %r, found %r" % (text, lines))
    elif verb == "<<":
        print("\n".join(reply(stream)))
    elif verb in ("eof", "reset"):
        ended(stream, verb)
    elif verb and not verb.startswith("#"):
        raise Wrong("not a step")
    return b""


def main():
    source = sys.argv[2] if len(sys.argv) > 2 else None
    sock = connect(sys.argv[1], source)
    stream = sock.makefile("rb")
    held = b""
    for number, line in enumerate(sys.stdin, 1):
        try:
            held = step(sock, stream, held, line.rstrip("\n"))
        except (Wrong, OSError) as e:
            sys.exit("talk: line %d: %s: %s" % (number, line.strip(), e))


if __name__ == "__main__":
    main()
