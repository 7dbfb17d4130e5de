#!/usr/bin/env python3
"""An SMTP server that behaves as badly as its script says.

    badpeer.py [-l ADDR:PORT]... [--ready FILE] [--log FILE] [--rcvbuf N]
               [--sndbuf N] [--backlog N] [SCRIPT]

PORT 0 is any, `=` the one before. --ready gets the addresses, once it listens.
The script (or standard input) has sections; the first of these that is there
is what a connection gets: `conn N` or `conn N-M` (the N-th of all), `conn
to=ADDR`, `conn from=ADDR`, `conn *`; without one it is closed. Commands, one a line, `#` begins
a comment; TEXT begins after one blank, C's escapes are done in it:

    expect WORD...   read a line that begins so (no case); else log and close
    upto WORD...     be a good server until a line that begins so has been
                     read; the script answers that one
    polite           be a good server until the connection ends
    ehlo KEYWORD...  what a good server offers (KEY=PARAMETER) from here on
    send TEXT        TEXT and CRLF; \\n in it begins another line
    raw TEXT [* N]   TEXT as it is, N times
    slow MS TEXT     as it is, MS between the bytes
    data             read content to its final dot
    take N           read N bytes of content
    drip N MS        read content to its final dot, at most N bytes each MS
    bdat             read a BDAT command, if none was just read, and its bytes
    sleep MS         or until the peer has gone, which ends the connection
    await NAME       until the file NAME is there, beside the log
    mark TEXT        a line in the log
    shut             close our half; go on reading
    hold             read and forget, until the peer goes
    stall            do not read at all, until the peer goes
    await            the same, then go on (what it sent can still be read)
    close, rst       end the connection well, or with a reset
    close-listen     accept no more
    repeat N ... end N times, `*` for ever

A good server greets first, if nothing was sent yet, and refuses what follows
from commands that the script refused. The log, a line an event, TABs between,
N the connection's number, remote text escaped and cut:

    conn N FROM TO | got N LINE | sent N TEXT | mark N TEXT
    complete N MESSAGE-ID OCTETS SHA256 READS
                         content, un-stuffed, to its end; pieces it came in
    unexpected N WANTED GOT | end N WHO     WHO: us, peer, rst (the peer, too)
"""
import argparse
import codecs
import hashlib
import os
import re
import select
import signal
import socket
import struct
import sys
import threading
import time

CHUNK = 65536
OFFERS = b"PIPELINING 8BITMIME SIZE ENHANCEDSTATUSCODES".split()


class End(Exception):
    """The connection is over; its argument says who ended it."""


def shown(octets):
    text = "".join(chr(c) if 32 <= c < 127 and c != 92 else "\\x%02x" % c
                   for c in octets[:1000])
    return text + ("..." if len(octets) > 1000 else "")


def unescape(text):
    return codecs.escape_decode(text)[0]


class Log:
    def __init__(self, file):
        self.file = file
        self.lock = threading.Lock()

    def write(self, event, number, *fields):
        with self.lock:
            print(event, number, *fields, sep="\t", file=self.file, flush=True)


class Script:
    """sections: what follows `conn` -> list of (command, text or list)."""

    def __init__(self, text):
        self.sections = {}
        stack = [None]
        for line in text.split(b"\n"):
            line = line.lstrip()
            if not line or line.startswith(b"#"):
                continue
            verb, _, rest = line.partition(b" ")
            self.add(stack, verb.decode(), rest)
        if len(stack) != 1:
            raise ValueError("repeat without end")

    def add(self, stack, verb, rest):
        if verb == "conn":
            stack[:] = [self.sections.setdefault(rest.decode().strip(), [])]
        elif stack[-1] is None:
            raise ValueError("%s before conn" % verb)
        elif verb == "repeat":
            count = None if rest.strip() == b"*" else int(rest)
            body = []
            stack[-1].append((verb, (count, body)))
            stack.append(body)
        elif verb == "end":
            if len(stack) == 1:
                raise ValueError("end without repeat")
            stack.pop()
        elif hasattr(Peer, "do_" + verb.replace("-", "_")):
            stack[-1].append((verb, rest))
        else:
            raise ValueError("no command: %s" % verb)

    def find(self, number, source, local):
        for key, body in self.sections.items():
            span = re.fullmatch(r"(\d+)(?:-(\d+))?", key)
            if span and int(span[1]) <= number <= int(span[2] or span[1]):
                return body
        for key in ("to=" + local, "from=" + source, "*"):
            if key in self.sections:
                return self.sections[key]
        return []


class Content:
    """A message as it comes: un-stuffed, hashed, its first part kept."""

    def __init__(self):
        self.part = b""
        self.fresh = True       # at the beginning of a line
        self.octets = 0
        self.reads = 0
        self.hash = hashlib.sha256()
        self.head = b""

    def add(self, octets):
        self.octets += len(octets)
        self.hash.update(octets)
        if len(self.head) < CHUNK:
            self.head += octets

    def feed(self, octets):
        """What comes after the final dot; None while that has not come."""
        self.reads += 1
        lines = (self.part + octets).split(b"\n")
        self.part = lines.pop()
        for i, line in enumerate(lines):
            crlf = line.endswith(b"\r")
            if self.fresh and line == b".\r":
                rest = b"\n".join(lines[i + 1:] + [self.part])
                self.part = b""
                return rest
            self.add(line[self.fresh and line[:1] == b".":] + b"\n")
            self.fresh = crlf
        if len(self.part) > CHUNK:
            self.add(self.part[self.fresh and self.part[:1] == b".":-1])
            self.part = self.part[-1:]
            self.fresh = False
        return None

    def message_id(self):
        head = self.head.split(b"\r\n\r\n")[0]
        found = re.search(rb"(?im)^message-id:\s*(\S+)", head)
        return shown(found.group(1)) if found else "-"


class Peer:
    """One connection: a thread that does the commands of its section."""

    def __init__(self, server, sock, number):
        self.server = server
        self.sock = sock
        self.number = number
        self.buf = b""
        self.content = None
        self.greeted = False
        self.offers = OFFERS
        self.line = b""         # the command that awaits its answer
        self.mail = self.rcpts = 0

    def log(self, event, *fields):
        self.server.log.write(event, self.number, *fields)

    def serve(self):
        who = "us"
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            source, local = self.sock.getpeername(), self.sock.getsockname()
            self.log("conn", "%s:%d" % source[:2], "%s:%d" % local[:2])
            self.run(self.server.script.find(
                self.number, source[0], local[0]))
            self.do_close(b"")
        except End as e:
            who = e.args[0]
        except OSError:
            who = "rst"
        self.sock.close()
        self.log("end", who)

    def run(self, commands):
        for verb, text in commands:
            if verb == "repeat":
                count, body = text
                while count is None or count > 0:
                    self.run(body)
                    count = count and count - 1
            else:
                getattr(self, "do_" + verb.replace("-", "_"))(text)

    def gone(self, ms):
        """Has the peer gone, or does it in so many ms? Nothing is read."""
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        return bool(poll.poll(ms))

    # ---- reading and writing

    def read(self, most=CHUNK):
        """Some bytes, at most so many."""
        if not self.buf:
            self.buf = self.sock.recv(most)
            if not self.buf:
                raise End("peer")
        octets, self.buf = self.buf[:most], self.buf[most:]
        return octets

    def read_line(self):
        line = b""
        while not line.endswith(b"\n") and len(line) < CHUNK:
            octets = self.read(4096)
            at = octets.find(b"\n") + 1 or len(octets)
            line += octets[:at]
            self.buf = octets[at:] + self.buf
        self.line = line.rstrip(b"\r\n")
        self.log("got", shown(self.line))
        return self.line

    def write(self, octets, times=1):
        self.greeted = True
        self.answered(octets[:1] == b"2")
        many = max(1, CHUNK * 4 // max(1, len(octets)))
        left = times
        while left > 0:
            self.sock.sendall(octets * min(many, left))
            left -= min(many, left)
        self.log("sent", shown(octets) + (" * %d" % times) * (times > 1))

    def answered(self, good):
        verb = self.line[:4].upper()
        if verb in (b"EHLO", b"HELO", b"RSET"):
            self.mail = self.rcpts = 0
        elif verb == b"MAIL":
            self.mail, self.rcpts = good, 0
        elif verb == b"RCPT":
            self.rcpts += good
        if verb != b"BDAT":     # the command bdat still wants it
            self.line = b""

    def begins(self, text):
        return self.line.lower().startswith(text.strip().lower())

    # ---- content

    def eat(self, octets):
        """Content; True at its end, and then it is complete."""
        if self.content is None:
            self.content = Content()
        rest = self.content.feed(octets)
        if rest is None:
            return False
        self.buf = rest + self.buf
        self.complete()
        return True

    def complete(self):
        c, self.content = self.content, None
        self.log("complete", c.message_id(), c.octets, c.hash.hexdigest(),
                 c.reads)
        self.mail = self.rcpts = 0

    def do_data(self, _):
        while not self.eat(self.read()):
            pass

    def do_take(self, text):
        left = int(text)
        while left > 0:
            octets = self.read(left)
            left -= len(octets)
            if self.eat(octets):
                break

    def do_drip(self, text):
        most, pause = map(int, text.split())
        while not self.eat(self.read(most)):
            time.sleep(pause / 1000)

    def do_bdat(self, _):
        words = (self.line or self.read_line()).upper().split()
        self.line = b""
        if self.content is None:
            self.content = Content()
        left = int(words[1])
        while left > 0:
            octets = self.read(min(left, CHUNK))
            self.content.add(octets)
            left -= len(octets)
        if b"LAST" in words:
            self.complete()

    # ---- a good server

    def do_ehlo(self, text):
        self.offers = [w.replace(b"=", b" ", 1) for w in text.split()]

    def do_polite(self, _):
        self.do_upto(None)

    def do_upto(self, text):
        if not self.greeted:
            self.write(b"220 bad.example ESMTP\r\n")
        while True:
            line = self.read_line()
            if text is not None and self.begins(text):
                return
            self.answer(line[:4].upper())

    def answer(self, verb):
        if verb == b"EHLO":
            lines = [b"bad.example"] + self.offers
            self.write(b"".join(b"250-%s\r\n" % w for w in lines[:-1]) +
                       b"250 %s\r\n" % lines[-1])
        elif verb == b"QUIT":
            self.write(b"221 2.0.0 Bye\r\n")
            self.do_close(b"")
        elif verb == b"BDAT":
            good = self.rcpts
            self.do_bdat(b"")
            self.write(b"250 2.0.0 Ok\r\n" if good else b"503 5.5.1 No\r\n")
        elif verb == b"DATA" and self.rcpts:
            self.write(b"354 Go ahead\r\n")
            self.do_data(b"")
            self.write(b"250 2.0.0 Ok\r\n")
        elif (verb in (b"HELO", b"MAIL", b"RSET", b"NOOP") or
              verb == b"RCPT" and self.mail):
            self.write(b"250 2.0.0 Ok\r\n")
        elif verb in (b"RCPT", b"DATA"):
            self.write(b"503 5.5.1 Not now\r\n")
        else:
            self.write(b"500 5.5.2 What?\r\n")

    # ---- the rest

    def do_expect(self, text):
        self.read_line()
        if not self.begins(text):
            self.log("unexpected", shown(text), shown(self.line))
            self.do_close(b"")

    def do_send(self, text):
        self.write(unescape(text).replace(b"\n", b"\r\n") + b"\r\n")

    def do_raw(self, text):
        found = re.fullmatch(rb"(.*) \* (\d+)", text, re.S)
        text, times = found.groups() if found else (text, 1)
        self.write(unescape(text), int(times))

    def do_slow(self, text):
        pause, _, text = text.partition(b" ")
        self.greeted = True
        octets = unescape(text)
        self.answered(octets[:1] == b"2")
        for c in octets:
            time.sleep(int(pause) / 1000)
            self.sock.sendall(bytes([c]))
        self.log("sent", shown(octets))

    def do_sleep(self, text):
        if self.gone(int(text)):
            raise End("peer")

    def do_await(self, text):
        if not text.strip():
            self.gone(None)
            return
        path = os.path.join(self.server.directory, text.decode().strip())
        while not os.path.exists(path):
            time.sleep(0.02)

    def do_mark(self, text):
        self.log("mark", shown(text))

    def do_shut(self, _):
        self.sock.shutdown(socket.SHUT_WR)

    def do_hold(self, _):
        while True:
            self.read()

    def do_stall(self, _):
        self.gone(None)
        raise End("peer")

    def do_close(self, _):
        """What is not read yet would make a reset of it."""
        self.sock.setblocking(False)
        try:
            while self.sock.recv(CHUNK):
                pass
        except OSError:
            pass
        raise End("us")

    def do_rst(self, _):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        raise End("us")

    def do_close_listen(self, _):
        self.server.close()


class Server:
    def __init__(self, args, script, log):
        self.script = script
        self.log = log
        self.directory = os.path.dirname(args.log or "")
        self.lock = threading.Lock()
        self.count = 0
        self.listeners = []
        port = 0
        for spec in args.listen or ["127.0.0.1:0"]:
            host, _, given = spec.rpartition(":")
            host = host.strip("[]")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            sock = socket.socket(family)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if args.rcvbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                args.rcvbuf)
            if args.sndbuf:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF,
                                args.sndbuf)
            sock.bind((host, port if given == "=" else int(given)))
            port = sock.getsockname()[1]
            sock.listen(args.backlog)
            self.listeners.append(sock)

    def addresses(self):
        for sock in self.listeners:
            host, port = sock.getsockname()[:2]
            yield ("[%s]:%d" if ":" in host else "%s:%d") % (host, port)

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:     # closed
                return
            with self.lock:
                self.count += 1
                peer = Peer(self, sock, self.count)
            threading.Thread(target=peer.serve, daemon=True).start()

    def close(self):
        for listener in self.listeners:
            try:
                listener.shutdown(socket.SHUT_RDWR)     # wakes accept
            except OSError:
                pass
            listener.close()

    def run(self):
        for listener in self.listeners:
            threading.Thread(target=self.accept, args=(listener,),
                             daemon=True).start()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-l", dest="listen", action="append")
    parser.add_argument("--ready")
    parser.add_argument("--log")
    parser.add_argument("--rcvbuf", type=int)
    parser.add_argument("--sndbuf", type=int)
    parser.add_argument("--backlog", type=int, default=512)
    parser.add_argument("script", nargs="?")
    args = parser.parse_args()
    with open(args.script or 0, "rb") as file:
        try:
            script = Script(file.read())
        except ValueError as e:
            sys.exit("badpeer: script: %s" % e)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log = Log(open(args.log, "a", encoding="ascii") if args.log else sys.stdout)
    server = Server(args, script, log)
    server.run()
    if args.ready:
        with open(args.ready + ".tmp", "w", encoding="ascii") as file:
            file.writelines(a + "\n" for a in server.addresses())
        os.rename(args.ready + ".tmp", args.ready)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
