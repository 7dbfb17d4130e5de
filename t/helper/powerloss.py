#!/usr/bin/env python3
"""What a power failure may leave of a directory tree, from a log of strace.

    powerloss.py LOG ROOT BEFORE OUT SEED EACH COMMAND...

LOG is of `strace -f -y -xx -s 9999999` of one command that changed ROOT, and
BEFORE a copy of ROOT as it was. For the moment after each change, and for what
may then be on the disk, a tree is made in OUT and COMMAND is run with the
arguments OUT, the number of changes made by then, and `done` when the command
had ended, else `open`. Fails when COMMAND does, and says which tree it was.

The model is what POSIX promises and no more: what was written to a file is
durable after fsync or fdatasync of the file, a name after fsync of its
directory, all of it after syncfs. Of what is not, any part may be there: all,
none, all but one, only one, and random choices until there are EACH trees a
moment. A rename is done or not, never half; and no name is there before its
directory, unless it was synced and the directory was not.
"""
import os
import random
import re
import shutil
import subprocess
import sys

ANY = re.compile(r"^(\d+) +(.*)$")
UNFINISHED = re.compile(r"^(.*) <unfinished \.\.\.>$")
RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$")
CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+)(.*)$", re.S)
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
FD = re.compile(r"^(-?\d+|AT_FDCWD)(?:<((?:[^<>]|\\[<>])*)>)?")


def octets(text):
    return bytes.fromhex(text.replace("\\x", ""))


def number(text):
    return int(re.match(r"-?\d+", text).group(0))


class Op:
    """One change. ino: the file; for a name: the directory and the name."""

    def __init__(self, kind, **args):
        self.kind = kind
        self.at = None       # number of changes before it
        self.safe = None     # number of changes when it became durable
        self.__dict__.update(args)

    def __repr__(self):
        return "%s %s" % (self.kind, {k: (v if not isinstance(v, bytes)
                          or len(v) < 40 else len(v))
                          for k, v in self.__dict__.items() if k != "kind"})


class Tree:
    """Names and files while the log is read; collects the changes."""

    def __init__(self, root, before):
        self.root = os.path.realpath(root)
        self.names = {}      # path below root -> file number
        self.first = {}      # file number -> content at the beginning, or None
        self.ops = []
        self.next = 0
        for base, dirs, files in os.walk(before):
            for name in dirs + files:
                path = os.path.join(base, name)
                rel = os.path.relpath(path, before)
                content = None
                if os.path.isfile(path):
                    with open(path, "rb") as f:
                        content = f.read()
                self.first[self.next] = content
                self.names[rel] = self.next
                self.next += 1
        self.names[""] = self.next
        self.first[self.next] = None
        self.start = dict(self.names)

    def rel(self, path):
        """The path below the root, or None."""
        path = os.path.normpath(path)
        if path == self.root:
            return ""
        if path.startswith(self.root + "/"):
            return path[len(self.root) + 1:]
        return None

    def add(self, op):
        op.at = len(self.ops)
        self.ops.append(op)

    def file(self):
        self.next += 1
        return self.next

    def name(self, kind, path, ino, **more):
        self.add(Op(kind, dir=os.path.dirname(path), path=path, ino=ino,
                    **more))


class Reader:
    """The calls of the log, applied to a Tree."""

    def __init__(self, tree):
        self.tree = tree
        self.cwd = os.getcwd()
        self.unnamed = {}    # (pid) -> for O_TMPFILE: fd text -> ino
        self.offset = {}     # (fd) -> where the next write goes, by ino

    def path(self, at, text):
        name = os.fsdecode(octets(text))
        if not name.startswith("/"):
            name = os.path.join(self.fd_path(at) or self.cwd, name)
        return self.tree.rel(name)

    @staticmethod
    def fd_path(arg):
        m = FD.match(arg.strip())
        if not m or not m.group(2):
            return None
        inside = m.group(2)
        if "\\x" in inside:
            inside = os.fsdecode(octets(inside))
        return re.sub(r" ?\(deleted\)$", "", inside)

    def ino(self, arg):
        path = self.fd_path(arg)
        if path is None:
            return None
        rel = self.tree.rel(path)
        if rel is None:
            return None
        return self.unnamed.get(rel, self.tree.names.get(rel))

    def call(self, name, args, ret, began):
        handler = getattr(self, "do_" + name, None)
        if handler and not ret.startswith("-"):
            handler(args, ret, began)

    def do_openat(self, args, ret, _):
        m = TEXT.search(args)
        path = self.path(args, m.group(1))
        flags = args[m.end():]
        tree = self.tree
        if path is None:
            return
        if "O_TMPFILE" in flags:
            rel = tree.rel(self.fd_path(ret))
            self.unnamed[rel] = tree.file()
            tree.first[self.unnamed[rel]] = b""
        elif "O_CREAT" in flags and path not in tree.names:
            ino = tree.file()
            tree.first[ino] = b""
            tree.names[path] = ino
            tree.name("name", path, ino)
            self.offset[ino] = 0
        elif "O_TRUNC" in flags:
            tree.add(Op("trunc", ino=tree.names[path], size=0))
        if path in tree.names and "O_APPEND" not in flags and (
                "O_WRONLY" in flags or "O_RDWR" in flags):
            self.offset[tree.names[path]] = 0

    def do_mkdirat(self, args, _ret, _):
        m = TEXT.search(args)
        path = self.path(args, m.group(1))
        if path is None:
            return
        ino = self.tree.file()
        self.tree.first[ino] = None
        self.tree.names[path] = ino
        self.tree.name("name", path, ino)

    def do_mkdir(self, args, ret, began):
        self.do_mkdirat("AT_FDCWD, " + args, ret, began)

    def two(self, args):
        first = TEXT.search(args)
        rest = args[first.end():].lstrip(", ")
        second = TEXT.search(rest)
        return (self.path(args, first.group(1)),
                self.path(rest, second.group(1)), octets(first.group(1)))

    def do_renameat2(self, args, _ret, _):
        src, dst, _text = self.two(args)
        tree = self.tree
        if src is None or dst is None:
            return
        ino = tree.names.pop(src)
        moved = [p for p in tree.names if p.startswith(src + "/")]
        assert not moved, "a directory with files in it was renamed"
        tree.names[dst] = ino
        tree.name("rename", dst, ino, src=src)

    do_renameat = do_renameat2

    def do_rename(self, args, ret, began):
        first = TEXT.search(args)
        self.do_renameat2("AT_FDCWD, " + args[:first.end()] +
                          ", AT_FDCWD" + args[first.end():], ret, began)

    def do_linkat(self, args, _ret, _):
        src, dst, text = self.two(args)
        if dst is None:
            return
        tree = self.tree
        if text.startswith(b"/proc/self/fd/") or text == b"":
            ino = next(reversed(self.unnamed.values()))
        else:
            ino = tree.names[src]
        tree.names[dst] = ino
        tree.name("name", dst, ino)

    def do_unlinkat(self, args, _ret, _):
        m = TEXT.search(args)
        path = self.path(args, m.group(1))
        if path is not None:
            self.tree.name("gone", path, self.tree.names.pop(path))

    def do_unlink(self, args, ret, began):
        self.do_unlinkat("AT_FDCWD, " + args, ret, began)

    do_rmdir = do_unlink

    def data(self, args):
        return b"".join(octets(t) for t in TEXT.findall(args))

    def do_write(self, args, ret, _):
        ino = self.ino(args)
        if ino is None:
            return
        content = self.data(args)[:number(ret)]
        if ino in self.offset:
            at = self.offset[ino]
            self.offset[ino] = at + len(content)
        else:
            at = -1          # appended
        self.tree.add(Op("write", ino=ino, off=at, data=content))

    do_writev = do_write

    def do_pwrite64(self, args, ret, _):
        ino = self.ino(args)
        if ino is None:
            return
        off = int(args.rsplit(",", 1)[1])
        self.tree.add(Op("write", ino=ino, off=off,
                         data=self.data(args)[:number(ret)]))

    do_pwritev = do_pwrite64

    def do_lseek(self, args, ret, _):
        ino = self.ino(args)
        if ino in self.offset:
            self.offset[ino] = number(ret)

    def do_ftruncate(self, args, _ret, _):
        ino = self.ino(args)
        if ino is not None:
            self.tree.add(Op("trunc", ino=ino,
                             size=int(args.rsplit(",", 1)[1])))

    def do_fallocate(self, args, _ret, _):
        ino = self.ino(args)
        if ino is None:
            return
        fields = [f.strip() for f in args.split(",")]
        kind = "punch" if "PUNCH_HOLE" in fields[1] else "grow"
        if kind == "grow" and "KEEP_SIZE" in fields[1]:
            return
        self.tree.add(Op(kind, ino=ino, off=int(fields[2]),
                         size=int(fields[3])))

    def do_fsync(self, args, _ret, began):
        rel = self.tree.rel(self.fd_path(args) or "/")
        ino = self.ino(args)
        if ino is None:
            return
        now = len(self.tree.ops)
        for op in self.tree.ops[:began]:
            mine = (op.dir == rel if hasattr(op, "dir") else op.ino == ino)
            if mine and op.safe is None:
                op.safe = now

    do_fdatasync = do_fsync

    def do_syncfs(self, args, _ret, began):
        if self.ino(args) is None:
            return
        now = len(self.tree.ops)
        for op in self.tree.ops[:began]:
            if op.safe is None:
                op.safe = now


def read_log(path, reader):
    """Every completed call, in the order of completion."""
    waiting = {}
    with open(path, encoding="latin-1") as f:
        for line in f:
            m = ANY.match(line.rstrip("\n"))
            if not m:
                continue
            pid, text = m.groups()
            began = len(reader.tree.ops)
            cut = UNFINISHED.match(text)
            if cut:
                waiting[pid] = (cut.group(1), began)
                continue
            rest = RESUMED.match(text)
            if rest:
                head, began = waiting.pop(pid)
                text = head + rest.group(2)
            call = CALL.match(text)
            if call:
                name, args, ret, more = call.groups()
                reader.call(name, args, ret + more, began)


def content_of(ino, first, ops):
    data = bytearray(first)
    for op in ops:
        if op.kind == "write":
            at = len(data) if op.off < 0 else op.off
            if at > len(data):
                data.extend(b"\0" * (at - len(data)))
            data[at:at + len(op.data)] = op.data
        elif op.kind == "trunc":
            del data[op.size:]
            data.extend(b"\0" * (op.size - len(data)))
        elif op.kind == "grow":
            data.extend(b"\0" * (op.off + op.size - len(data)))
        elif op.kind == "punch":
            end = min(op.off + op.size, len(data))
            if op.off < end:
                data[op.off:end] = b"\0" * (end - op.off)
    return bytes(data)


def build(tree, ops, sure, out):
    """The tree in which just these changes happened."""
    names = dict(tree.start)
    changes = {}
    for op in ops:
        if hasattr(op, "dir") and op.dir not in names and op not in sure:
            continue         # not before its directory is there
        if op.kind == "gone" and op not in sure and any(
                n.startswith(op.path + "/") for n in names):
            continue         # nor gone before it is empty
        if op.kind == "name":
            names[op.path] = op.ino
        elif op.kind == "rename":
            if names.get(op.src) == op.ino:
                del names[op.src]
            names[op.path] = op.ino
        elif op.kind == "gone":
            if names.get(op.path) == op.ino:
                del names[op.path]
        else:
            changes.setdefault(op.ino, []).append(op)
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out, 0o700)
    made = {}
    for path in sorted(names):
        ino = names[path]
        full = os.path.join(out, path)
        if path == "":
            continue
        if not os.path.isdir(os.path.dirname(full)):
            continue         # its directory was lost, and it with it
        if tree.first[ino] is None:
            os.mkdir(full, 0o700)
        elif ino in made:
            os.link(made[ino], full)
        else:
            with open(full, "wb") as f:
                f.write(content_of(ino, tree.first[ino],
                                   changes.get(ino, [])))
            os.chmod(full, 0o600)
            made[ino] = full


def choices(ops, moment, each, rng):
    """Sets of changes that may be on the disk at that moment."""
    past = ops[:moment]
    sure = [op for op in past if op.safe is not None and op.safe <= moment]
    maybe = [op for op in past if op not in sure]
    sets = [maybe, []]
    for op in maybe:
        sets.append([x for x in maybe if x is not op])
        sets.append([op])
    if len(sets) > each:
        sets = sets[:2] + rng.sample(sets[2:], each - 2)
    while maybe and len(sets) < each and len(sets) < 2 ** len(maybe):
        sets.append([x for x in maybe if rng.random() < 0.5])
    seen = set()
    for chosen in sets:
        keep = set(map(id, sure)) | set(map(id, chosen))
        key = frozenset(keep)
        if key not in seen:
            seen.add(key)
            yield [op for op in past if id(op) in keep], sure


def main():
    log, root, before, out, seed, each = sys.argv[1:7]
    command = sys.argv[7:]
    rng = random.Random(int(seed))
    tree = Tree(root, before)
    read_log(log, Reader(tree))
    made = 0
    for moment in range(len(tree.ops) + 1):
        ended = "done" if moment == len(tree.ops) else "open"
        for there, sure in choices(tree.ops, moment, int(each), rng):
            build(tree, there, sure, out)
            made += 1
            code = subprocess.call(
                command + [out, str(moment), ended])
            if code:
                print("after %d of %d changes, with" % (
                    moment, len(tree.ops)), file=sys.stderr)
                for op in there:
                    word = "is" if op in sure else "may be"
                    print("  %s: %r" % (word, op), file=sys.stderr)
                sys.exit("tree %d failed (%d)" % (made, code))
    print("%d changes, %d trees" % (len(tree.ops), made))


main()
