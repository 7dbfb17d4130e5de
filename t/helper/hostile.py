#!/usr/bin/env python3
"""An SMTP server that says exactly the octets it is told to.

    hostile.py PORTFILE [STAGE=TEXT]...

STAGE is greeting, ehlo, helo, mail, rcpt, data, dot, rset or quit; TEXT is the
whole reply with its line ends, in which \\r \\n \\0 \\t \\\\ \\xHH are what C
makes of them. Stages that are not named get a plain good answer. Listens on
127.0.0.1 and a port of the kernel's choice, which is written to PORTFILE. Ends
by SIGTERM.
"""
import os
import re
import socket
import sys
import threading

GOOD = {
    "greeting": b"220 peer.example ESMTP\r\n",
    "ehlo": b"250-peer.example\r\n250 8BITMIME\r\n",
    "helo": b"250 peer.example\r\n",
    "mail": b"250 2.1.0 ok\r\n",
    "rcpt": b"250 2.1.5 ok\r\n",
    "data": b"354 go\r\n",
    "dot": b"250 2.0.0 queued\r\n",
    "rset": b"250 ok\r\n",
    "quit": b"221 bye\r\n",
}


def escapes(text):
    def one(m):
        e = m.group(1)
        if e[:1] == b"x":
            return bytes([int(e[1:], 16)])
        return {b"r": b"\r", b"n": b"\n", b"0": b"\0", b"t": b"\t",
                b"\\": b"\\"}[e]

    return re.sub(rb"\\(x[0-9a-fA-F]{2}|[rn0t\\])", one, os.fsencode(text))


def serve(sock, say):
    f = sock.makefile("rb")
    sock.sendall(say["greeting"])
    for line in f:
        verb = line[:4].strip().lower().decode("latin1")
        if verb not in GOOD:
            sock.sendall(b"502 what\r\n")
            continue
        sock.sendall(say[verb])
        if verb == "quit":
            break
        if verb == "data" and say["data"].startswith(b"354"):
            for body in f:
                if body == b".\r\n":
                    break
            sock.sendall(say["dot"])


def session(sock, say):
    try:
        serve(sock, say)
    except OSError:
        pass
    sock.close()


def main():
    say = dict(GOOD)
    for arg in sys.argv[2:]:
        stage, text = arg.split("=", 1)
        if stage not in GOOD:
            sys.exit("hostile: no such stage: " + stage)
        say[stage] = escapes(text)
    listener = socket.create_server(("127.0.0.1", 0))
    with open(sys.argv[1] + ".new", "w", encoding="ascii") as f:
        f.write("%d\n" % listener.getsockname()[1])
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=session, args=(sock, say),
                         daemon=True).start()


main()
