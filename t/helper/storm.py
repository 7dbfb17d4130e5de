#!/usr/bin/python3
"""storm.py [OPTION...] -- COMMAND...: run a command again and again, and send
it signals at random moments.

--runs N       so often (100)
--signals LIST TERM,HUP,...: what is sent
--once LIST    of these at most one a run
--burst N      at most N signals a run (6)
--last NAME    sent at the end, unless it was sent before
--within MS    the first comes within so many milliseconds of the start (20)
--stdin FILE   standard input; {} in it and in COMMAND is the run's number
--until CMD    a shell command; after a run in which it succeeds there is none
--seed N       of the random moments

Prints `RUN STATUS` for each run; STATUS is the exit code, or -SIGNAL. A run
that takes more than 60 s is killed and printed as HANG; exit 1 then.
"""
import argparse
import os
import random
import signal
import subprocess
import sys
import time


def storm(proc, args, rnd):
    """Signals to one process until the burst is over or it has ended."""
    sent = set()
    time.sleep(rnd.random() * args.within / 1000)
    names = rnd.choices(args.signals, k=rnd.randint(1, args.burst))
    for name in names + ([args.last] if args.last else []):
        if name in sent and (name in args.once or name == args.last):
            continue
        if proc.poll() is not None:
            return
        sent.add(name)
        os.kill(proc.pid, getattr(signal, "SIG" + name))  # not reaped yet
        if rnd.random() < 0.5:
            time.sleep(rnd.random() * 0.004)


def run(i, args, rnd):
    """One run; its status."""
    command = [a.replace("{}", str(i)) for a in args.command]
    name = args.stdin.replace("{}", str(i)) if args.stdin else os.devnull
    with open(name, "rb") as stdin:
        # pylint: disable=consider-using-with
        proc = subprocess.Popen(command, stdin=stdin, close_fds=True)
    storm(proc, args, rnd)
    try:
        return str(proc.wait(60))
    except subprocess.TimeoutExpired:
        proc.kill()
        proc.wait()
        return "HANG"


def main():
    """As the first line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--signals", type=lambda s: s.split(","))
    parser.add_argument("--once", type=lambda s: s.split(","), default=[])
    parser.add_argument("--last")
    parser.add_argument("--burst", type=int, default=6)
    parser.add_argument("--within", type=float, default=20)
    parser.add_argument("--stdin")
    parser.add_argument("--until")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    rnd = random.Random(args.seed)
    code = 0
    for i in range(1, args.runs + 1):
        status = run(i, args, rnd)
        print(i, status, flush=True)
        if status == "HANG":
            code = 1
        if args.until and subprocess.call(args.until, shell=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            break
    sys.exit(code)


if __name__ == "__main__":
    main()
