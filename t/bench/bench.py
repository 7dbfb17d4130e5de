"""What the benchmarks share: a scratch prefix, timing, the disk's own rates."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get('VMTA_BUILD', ROOT + '/build/release')


def fail(text):
    sys.exit(f'{os.path.basename(sys.argv[0])}: {text}')


@contextlib.contextmanager
def prefix(conf):
    """A directory with bin, etc and spool, on the disk of $TMPDIR."""
    top = tempfile.mkdtemp(prefix='vmta-bench.')
    try:
        os.symlink(BUILD + '/bin', top + '/bin')
        os.mkdir(top + '/etc')
        os.mkdir(top + '/spool', 0o700)
        os.environ['VMTA_CONFIG'] = top + '/etc/vmta.conf'
        with open(top + '/etc/vmta.conf', 'w') as f:
            f.write(conf)
        yield top
    finally:
        shutil.rmtree(top)


def timed(argv, stdin):
    """Run it: (seconds, of them on a processor, MiB of memory, output)."""
    out = tempfile.TemporaryFile()
    start = time.monotonic()
    with open(stdin, 'rb') as f:
        child = subprocess.Popen(argv, stdin=f, stdout=out)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        fail(f'{argv[0]} ended with {child.returncode}')
    out.seek(0)
    return seconds, usage.ru_utime + usage.ru_stime, \
        usage.ru_maxrss / 1024, out.read().decode()


def disk():
    """The disk's own rates, now: small files, and octets in a row."""
    top = tempfile.mkdtemp(prefix='vmta-bench.')
    dirfd = os.open(top, os.O_RDONLY)
    block = os.urandom(10240)
    try:
        n, start = 0, time.monotonic()
        while time.monotonic() - start < 3:
            fd = os.open(f'{top}/.{n}', os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(fd, block)
            os.fsync(fd)
            os.close(fd)
            os.rename(f'{top}/.{n}', f'{top}/{n}')
            os.fsync(dirfd)
            n += 1
        files = n / (time.monotonic() - start)
        block = os.urandom(1 << 20)
        start = time.monotonic()
        fd = os.open(top + '/big', os.O_WRONLY | os.O_CREAT, 0o600)
        for _ in range(256):
            os.write(fd, block)
        os.fdatasync(fd)
        os.close(fd)
        return files, 256 / (time.monotonic() - start)
    finally:
        os.close(dirfd)
        shutil.rmtree(top)


def say_disk():
    files, mib = disk()
    print(f'disk: {files:.0f} files/s of 10 KiB one by one (fsync, rename, '
          f'fsync of the directory), {mib:.0f} MiB/s in a row; '
          f'load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors',
          flush=True)


def spool_use(top):
    """(files, inodes with directories, MiB on the disk) of the spool."""
    files = inodes = 0
    octets = {}
    for where, dirs, names in os.walk(top + '/spool'):
        for name in dirs + names:
            st = os.lstat(where + '/' + name)
            octets[st.st_ino] = st.st_blocks * 512
        files += len(names)
    inodes = len(octets)
    return files, inodes, sum(octets.values()) / (1 << 20)


def batches(top):
    """The path of each batch in the queues."""
    for where, _, names in os.walk(top + '/spool/queue'):
        for name in names:
            yield where + '/' + name


def median(values):
    return sorted(values)[len(values) // 2]
