#!/usr/bin/python3
"""Name servers that no package has, and a question.

	dns.py ask ADDRESS@PORT NAME [TYPE]	print the response code and the
						number of answers, or
						`truncated`; 1: no answer
	dns.py say ADDRESS@PORT CODE [MINIMUM]	say NXDOMAIN (REFUSED ...) to
						everything, with a SOA for
						MINIMUM seconds
	dns.py silent ADDRESS@PORT		take questions, say nothing
	dns.py gate ADDRESS@PORT SERVER@PORT LETTER N FILE
						pass questions on to SERVER; of
						those for names that begin with
						LETTER the first N, then make
						FILE, and hold the others until
						FILE is gone again

UDP only. Servers print a line when they listen, and one with the number of
questions when they are ended.
"""
import os
import select
import signal
import socket
import struct
import sys

CODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]


def where(text):
    address, port = text.split("@")
    return address, int(port)


def wire(name):
    out = b""
    for label in name.rstrip(".").split(".") if name != "." else []:
        out += bytes([len(label)]) + label.encode()
    return out + b"\0"


def question_end(packet):
    at = 12
    while packet[at]:
        at += packet[at] + 1
    return at + 5


def udp(bind=None):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    if bind:
        s.bind(where(bind))
    return s


def ask(server, name, rrtype="1"):
    s = udp()
    s.settimeout(1)
    s.connect(where(server))
    s.send(struct.pack("!6H", 4711, 0x100, 1, 0, 0, 0) + wire(name) +
        struct.pack("!2H", int(rrtype), 1))
    try:
        reply = s.recv(65535)
    except OSError:
        sys.exit(1)
    flags, _, answers = struct.unpack("!3H", reply[2:8])
    print(CODES[flags & 15], "truncated" if flags & 0x200 else answers)


def listens():
    print("ready", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def serve(at, reply):
    s = udp(at)
    n = 0
    listens()
    try:
        while True:
            packet, peer = s.recvfrom(65535)
            n += 1
            if (out := reply(packet)) is not None:
                s.sendto(out, peer)
    finally:
        print(n, flush=True)


def say(at, code, minimum=None):
    soa = b""
    flags = 0x8180 | CODES.index(code)
    if minimum is not None:
        data = b"\0\0" + struct.pack("!5I", 1, 60, 60, 60, int(minimum))
        soa = b"\0" + struct.pack("!2HIH", 6, 1, int(minimum), len(data)) + data

    def reply(p):
        return (p[:2] + struct.pack("!5H", flags, 1, 0, bool(soa), 0) +
            p[12:question_end(p)] + soa)

    serve(at, reply)


def silent(at):
    serve(at, lambda p: None)


def gate(at, server, letter, limit, path):
    """Each peer has a socket of its own towards the server."""
    front = udp(at)
    poll = select.epoll()
    poll.register(front, select.EPOLLIN)
    back = {}
    held = []
    left = int(limit)
    listens()

    def forward(packet, peer):
        s = udp()
        s.connect(where(server))
        poll.register(s, select.EPOLLIN)
        back[s.fileno()] = s, peer
        s.send(packet)

    def answer(fd):
        s, peer = back.pop(fd)
        try:
            front.sendto(s.recv(65535), peer)
        except OSError:
            pass
        poll.unregister(s)
        s.close()

    while True:
        for fd, _ in poll.poll(0.1):
            if fd != front.fileno():
                answer(fd)
                continue
            packet, peer = front.recvfrom(65535)
            if packet[13:14] != letter.encode():
                forward(packet, peer)
            elif left > 0:
                forward(packet, peer)
                left -= 1
                if left == 0:
                    open(path, "w").close()
            else:
                held.append((packet, peer))
        if left == 0 and not os.path.exists(path):
            left = 1 << 60
            for packet, peer in held:
                forward(packet, peer)
            held = []


if __name__ == "__main__":
    {"ask": ask, "say": say, "silent": silent, "gate": gate}[sys.argv[1]](*sys.argv[2:])
