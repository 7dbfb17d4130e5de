"""What `make bench` measures: our side, Postfix's, the disk and the sink."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get('VMTA_BUILD', ROOT + '/build/release')
POSTFIX = os.environ.get('VMTA_PEERS', ROOT + '/build/peers') + '/postfix'
TICK = os.sysconf('SC_CLK_TCK')
DOMAINS = 10
SIZE = 10240


def fail(text):
    sys.exit(f'{os.path.basename(sys.argv[0])}: {text}')


def wait(what, limit, test, *args):
    """Until test is true."""
    end = time.monotonic() + limit
    while not test(*args):
        if time.monotonic() > end:
            fail(f'{what}: not within {limit} s')
        time.sleep(0.02)


# ---- the common ground --------------------------------------------------

@contextlib.contextmanager
def ground(mib):
    """A directory on a journaled ext4 in a file on the disk of $TMPDIR."""
    top = tempfile.mkdtemp(prefix='vmta-bench.')
    os.chmod(top, 0o755)
    image, where = top + '/image', top + '/disk'
    try:
        os.mkdir(where)
        with open(image, 'wb') as f:
            f.truncate(mib << 20)
        for argv in (['mkfs.ext4', '-q', '-F', '-N', '200000', image],
                     ['mount', '-o', 'loop', image, where]):
            if subprocess.run(argv).returncode != 0:
                fail(f'{argv[0]} failed: root, and loop devices are needed')
        os.chmod(where, 0o755)
        yield where
    finally:
        subprocess.run(['umount', where], stderr=subprocess.DEVNULL)
        shutil.rmtree(top)


def disk_rate(where):
    """Files of 10 KiB a second: written, synced, renamed, directory synced."""
    top = tempfile.mkdtemp(dir=where)
    dirfd = os.open(top, os.O_RDONLY)
    block = os.urandom(SIZE)
    n, start = 0, time.monotonic()
    while time.monotonic() - start < 3:
        fd = os.open(f'{top}/.{n}', os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, block)
        os.fsync(fd)
        os.close(fd)
        os.rename(f'{top}/.{n}', f'{top}/{n}')
        os.fsync(dirfd)
        n += 1
    seconds = time.monotonic() - start
    os.close(dirfd)
    shutil.rmtree(top)
    return n / seconds


# ---- what processes use -------------------------------------------------

def tree(pid):
    """The process and all below it."""
    below = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            with contextlib.suppress(OSError):
                with open(f'/proc/{name}/stat') as f:
                    word = f.read().rpartition(')')[2].split()
                below.setdefault(int(word[1]), []).append(int(name))
    pids = [pid]
    for p in pids:
        pids += below.get(p, [])
    return pids


def cpu(pid):
    """Seconds of a tree, its dead (and waited for) included."""
    ticks = 0
    for p in tree(pid):
        with contextlib.suppress(OSError):
            with open(f'/proc/{p}/stat') as f:
                word = f.read().rpartition(')')[2].split()
            ticks += sum(int(w) for w in word[11:15])
    return ticks / TICK


class Memory:
    """The peak of a tree's private memory, in MiB, looked at all the time."""

    def __init__(self, pid):
        self.pid, self.peak, self.ended = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended.wait(0.1):
            kib = 0
            for p in tree(self.pid):
                with contextlib.suppress(OSError):
                    with open(f'/proc/{p}/smaps_rollup') as f:
                        kib += sum(int(line.split()[1]) for line in f
                                   if line.startswith('Private_'))
            self.peak = max(self.peak, kib / 1024)

    def end(self):
        self.ended.set()
        self.thread.join()
        return self.peak


# ---- the sink -----------------------------------------------------------

class Sink:
    def __init__(self, *options):
        self.dir = tempfile.mkdtemp(prefix='vmta-bench.')
        self.proc = subprocess.Popen(
            [BUILD + '/t/helper/sink', '-l', '127.0.0.1:0', '--ready',
             self.dir + '/ready', '--count-file', self.dir + '/counts',
             *options], stdout=subprocess.DEVNULL)
        wait('sink', 20, self.ready)
        with open(self.dir + '/ready') as f:
            self.port = int(f.read().split()[0].rpartition(':')[2])

    def ready(self):
        return os.path.exists(self.dir + '/ready') and \
            os.path.getsize(self.dir + '/ready') > 0

    def count(self):
        self.proc.send_signal(signal.SIGUSR1)
        time.sleep(0.02)
        with contextlib.suppress(OSError):
            with open(self.dir + '/counts') as f:
                for line in f:
                    if line.startswith('total '):
                        words = dict(w.split('=', 1) for w in line.split()
                                     if '=' in w)
                        return int(words['messages'])
        return 0

    def wait(self, n, limit=1200):
        wait(f'{n} messages at the sink', limit,
             lambda: self.count() >= n)

    def end(self):
        self.proc.terminate()
        self.proc.wait()
        shutil.rmtree(self.dir)


class Late:
    """A relay to a port: what comes back comes so many seconds later, however
    much is on its way. (The sink's own delays stop it meanwhile.)"""

    def __init__(self, port, seconds):
        self.to, self.seconds = port, seconds
        listener = socket.create_server(('127.0.0.1', 0), backlog=200)
        self.port = listener.getsockname()[1]
        self.pid = os.fork()
        if self.pid == 0:
            asyncio.run(self.serve(listener))
            os._exit(0)
        listener.close()

    async def serve(self, listener):
        server = await asyncio.start_server(self.relay, sock=listener)
        await server.serve_forever()

    async def relay(self, reader, writer):
        loop = asyncio.get_running_loop()
        there, away = await asyncio.open_connection('127.0.0.1', self.to)

        async def back():
            while data := await there.read(65536):
                loop.call_later(self.seconds, writer.write, data)
            loop.call_later(self.seconds, writer.close)
        task = asyncio.create_task(back())
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                away.write(data)
                await away.drain()
        away.close()
        await task

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def blast(port, n):
    """One connection, n messages without waiting for a single answer."""
    s = socket.create_connection(('127.0.0.1', port))
    answers = s.makefile('rb')
    answers.readline()
    s.sendall(b'EHLO x\r\n')
    while answers.readline()[3:4] == b'-':
        pass
    body = b'Subject: x\r\n\r\n' + b'x' * 70 + b'\r\n'
    body += (b'y' * 76 + b'\r\n') * ((SIZE - len(body)) // 78)
    one = b'MAIL FROM:<a@s.example>\r\nRCPT TO:<b@d.example>\r\n' \
        b'BDAT %d LAST\r\n%s' % (len(body), body)

    def read():
        for _ in range(3 * n):
            answers.readline()
    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(n // 50):
        s.sendall(one * 50)
    reader.join()
    s.close()


def sink_rate(n=20000):
    """What the sink takes from two connections, messages a second."""
    sink = Sink()
    start = time.monotonic()
    kids = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            blast(sink.port, n // 2)
            os._exit(0)
        kids.append(pid)
    for pid in kids:
        os.waitpid(pid, 0)
    rate = n / (time.monotonic() - start)
    sink.end()
    return rate


# ---- ours ---------------------------------------------------------------

def stream(path, n):
    """Batch SMTP: n messages of 10 KiB to 10 domains."""
    line = b'0123456789abcdef' * 4 + b'\n'
    body = line * ((SIZE - 120) // len(line))
    with open(path, 'wb') as f:
        for i in range(n):
            f.write(b'MAIL FROM:<s@y.example>\nRCPT TO:<u%d@d%d.example>\n'
                    b'DATA\nFrom: <s@y.example>\nTo: <u%d@x.example>\n'
                    b'Subject: number %d\n\n%s.\n'
                    % (i, i % DOMAINS, i, i, body))


class Ours:
    name = 'vmta'

    def __init__(self, where, port, connections=20):
        self.top = tempfile.mkdtemp(dir=where)
        os.symlink(BUILD + '/bin', self.top + '/bin')
        os.mkdir(self.top + '/etc')
        os.mkdir(self.top + '/spool', 0o700)
        self.conf = self.top + '/etc/vmta.conf'
        with open(self.conf, 'w') as f:
            f.write(f"""
host-name = mta.example
virtual-mta a {{ smtp-source-host = '127.0.0.1 a.example'
	max-smtp-out = {connections} }}
source 'local' {{ default-virtual-mta = a }}
domain '*' {{ smtp-hosts = {{'[127.0.0.1]:{port}'}} }}
""")
        self.used, self.peak, self.runq = 0.0, 0.0, None

    def tool(self, name, *args, stdin=None):
        """Run it; its seconds of a processor and memory are counted."""
        child = subprocess.Popen([f'{self.top}/bin/{name}', '-C', self.conf,
                                  *args], stdin=stdin,
                                 stdout=subprocess.DEVNULL)
        memory = Memory(child.pid)
        _, status, use = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.used += use.ru_utime + use.ru_stime
        self.peak = max(self.peak, memory.end())
        if status != 0:
            fail(f'{name} ended with {child.returncode}')

    def inject(self, source, _n, held):
        with open(source, 'rb') as f:
            self.tool('vmta-inject', '--bsmtp', *(['--hold'] if held else []),
                      stdin=f)

    def release(self):
        child = subprocess.Popen(
            [self.top + '/bin/vmta-queue', 'release', '--all', '-C',
             self.conf], stdout=subprocess.DEVNULL)
        _, status, use = os.wait4(child.pid, 0)
        child.returncode = status
        self.used += use.ru_utime + use.ru_stime
        if status != 0:
            fail('vmta-queue failed')
        self.tool('vmta-runq', '--once')

    def start(self):
        self.runq = subprocess.Popen([self.top + '/bin/vmta-runq', '-C',
                                      self.conf, '--daemon'])
        self.memory = Memory(self.runq.pid)
        time.sleep(1)

    def stop(self):
        if self.runq is not None:
            self.runq.terminate()
            _, _, use = os.wait4(self.runq.pid, 0)
            self.runq.returncode = 0
            self.used += use.ru_utime + use.ru_stime
            self.peak += self.memory.end()
        shutil.rmtree(self.top)


# ---- Postfix ------------------------------------------------------------

MAIN = """compatibility_level = 3.6
config_directory = {top}/etc
meta_directory = {root}/etc/postfix
queue_directory = {top}/queue
data_directory = {top}/data
daemon_directory = {root}/usr/lib/postfix/sbin
command_directory = {root}/usr/sbin
shlib_directory = {root}/usr/lib/postfix
import_environment = MAIL_CONFIG LD_LIBRARY_PATH TZ=UTC
export_environment = MAIL_CONFIG LD_LIBRARY_PATH TZ=UTC
mail_owner = daemon
setgid_group = mail
default_privs = nobody
maillog_file = {top}/log
maillog_file_prefixes = /
myhostname = mta.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
transport_maps = static:smtp:[127.0.0.1]:{port}
in_flow_delay = 0
default_process_limit = 100
default_destination_concurrency_limit = {connections}
smtp_destination_concurrency_limit = {connections}
initial_destination_concurrency = {first}
smtp_connection_cache_on_demand = yes
smtp_connection_cache_destinations = [127.0.0.1]:{port}
smtp_connection_reuse_time_limit = 300s
qmgr_message_active_limit = 50000
qmgr_message_recipient_limit = 50000
max_use = 1000
smtp_tls_security_level = none
smtpd_tls_security_level = none
{more}
"""

MASTER = """{address} inet n - n - 100 smtpd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    name = 'Postfix'

    def __init__(self, where, port, connections=100, held=False):
        self.top = tempfile.mkdtemp(dir=where)
        self.port = 20000 + os.getpid() % 10000
        self.dirs()
        names = {'top': self.top, 'root': POSTFIX, 'port': port,
                 'connections': connections, 'first': min(20, connections),
                 'address': f'127.0.0.1:{self.port}', 'more':
                 'smtpd_client_restrictions = check_client_access static:HOLD'
                 if held else ''}
        for name, text in (('main', MAIN), ('master', MASTER)):
            with open(f'{self.top}/etc/{name}.cf', 'w') as f:
                f.write(text.format(**names))
        libs = [POSTFIX + '/usr/lib/postfix']
        for where, names, _ in os.walk(os.path.dirname(POSTFIX)):
            libs += [where] if where.endswith('-linux-gnu') else []
        self.env = {'PATH': '/usr/sbin:/usr/bin', 'MAIL_CONFIG':
                    self.top + '/etc', 'LD_LIBRARY_PATH': ':'.join(libs)}
        self.used, self.peak = 0.0, 0.0
        self.master = subprocess.Popen(
            ['setsid', POSTFIX + '/usr/lib/postfix/sbin/master', '-c',
             self.top + '/etc', '-d'], env=self.env,
            stderr=subprocess.DEVNULL)
        wait('Postfix', 60, self.up)
        self.before = cpu(self.master.pid)
        self.memory = Memory(self.master.pid)

    def dirs(self):
        os.chmod(self.top, 0o755)
        for name in ('etc', 'queue', 'data'):
            os.mkdir(f'{self.top}/{name}')
        for name in ('active bounce corrupt defer deferred flush hold incoming'
                     ' private saved trace maildrop public').split():
            os.mkdir(f'{self.top}/queue/{name}', 0o700)
            shutil.chown(f'{self.top}/queue/{name}', 'daemon')
        os.mkdir(self.top + '/queue/pid')
        os.chmod(self.top + '/queue/maildrop', 0o1730)
        os.chmod(self.top + '/queue/public', 0o710)
        for name in ('maildrop', 'public'):
            shutil.chown(f'{self.top}/queue/{name}', None, 'mail')
        shutil.chown(self.top + '/data', 'daemon')

    def up(self):
        with contextlib.suppress(OSError):
            with socket.create_connection(('127.0.0.1', self.port)) as s:
                return s.recv(3) == b'220'
        return False

    def inject(self, _source, n, _held):
        """Its own generator, for each domain one with two connections."""
        kids = [subprocess.Popen(
            [POSTFIX + '/usr/sbin/smtp-source', '-d', '-s', '2', '-m',
             str(n // DOMAINS), '-l', str(SIZE), '-f', 's@y.example', '-t',
             f'u@d{i}.example', f'inet:127.0.0.1:{self.port}'], env=self.env)
            for i in range(DOMAINS)]
        for kid in kids:
            if kid.wait() != 0:
                fail('smtp-source failed')

    def release(self):
        for argv in (['postsuper', '-H', 'ALL'], ['postqueue', '-f']):
            subprocess.run([POSTFIX + '/usr/sbin/' + argv[0], *argv[1:]],
                           env=self.env, stderr=subprocess.DEVNULL,
                           check=True)

    def start(self):
        pass

    def stop(self):
        self.used = cpu(self.master.pid) - self.before
        self.peak = self.memory.end()
        pids = tree(self.master.pid)
        self.master.terminate()
        self.master.wait()
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)
        wait('the end of Postfix', 60, lambda: not any(
            os.path.exists(f'/proc/{p}') for p in pids))
        shutil.rmtree(self.top)
