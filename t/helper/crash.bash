# What the tests of crashes and faults share; to be loaded after runq.
# shellcheck shell=bash

# spots FILE [NAME...]: each system call in a log of strace -f as a place where
# something can happen: `NAME:K`, the K-th of that name in a thread. Only the
# calls named, if any are. Not those of the loader, which ends with the munmap
# after it asked for the stack's limit; nor the end of a thread or process.
spots() {
	local log=$1
	shift
	awk -v only=" $* " '
		!match($2, /^[a-z0-9_]+\(/) { next }
		{
			name = substr($2, 1, RLENGTH - 1)
			k = ++n[$1, name]
			stack = stack || name == "prlimit64"
			if (!ours || name ~ /^exit/) {
				ours = ours || (stack && name == "munmap")
				next
			}
			if ((only ~ /^ *$/ || index(only, " " name " ")) &&
			    !seen[name, k]++)
				print name ":" k
		}' "$log"
}

# some SHARE: of the lines of stdin one in SHARE, beginning at a random one;
# all with VMTA_CRASH_FULL.
some() {
	[ -z "${VMTA_CRASH_FULL:-}" ] || {
		cat
		return
	}
	awk -v n="$1" -v at="$((RANDOM % $1))" 'NR % n == at'
}

# at_spot SPOT WHAT COMMAND...: run it with WHAT (signal=KILL, error=EIO) at
# the spot. Its exit code; 137 when it was killed.
at_spot() {
	local spot=$1 what=$2
	shift 2
	timeout -k 5 60 strace -f -qq -e signal=none -e trace="${spot%:*}" \
		-e inject="${spot%:*}:$what:when=${spot#*:}" \
		-o "$P/strace.log" "$@"
}

# traced LOG COMMAND...: run it, all its system calls in LOG.
traced() {
	strace -f -qq -e signal=none -o "$1" "${@:2}"
}

# The recipients that the sink took, one a line.
taken() {
	sink_log msg | grep -P '\treply=2' | field rcpt | tr ' ' '\n' |
		tr -d '<>'
}

# tally NAME=N...: told at once, and written down for the summary of make crash
# (kills faults recipients duplicates lost).
tally() {
	echo "# VMTA_SEED=${SEED:--} $*" >&3
	[ -z "${VMTA_TALLY:-}" ] || printf '%s\t%s\t%s\n' \
		"${BATS_TEST_FILENAME##*/}" "$BATS_TEST_DESCRIPTION" "$*" \
		>>"$VMTA_TALLY"
}

# each_taken N WINDOW [NAME=N...]: each of N recipients arrived, no more than
# WINDOW of them twice; says how many, with what else the tally shall hold.
each_taken() {
	local lost twice
	taken >"$P/taken"
	lost=$(($1 - $(sort -u "$P/taken" | wc -l)))
	twice=$(($(wc -l <"$P/taken") - $1 + lost))
	tally "${@:3}" "recipients=$1" "duplicates=$twice" "lost=$lost"
	equal 0 "$lost" 'recipients lost' || return 1
	[ "$twice" -le "$2" ] || fail "$twice sent twice, $2 are allowed"
}

# loaded FILE...: the accounting by sqlite3, a line `FINALS RECIPIENTS D B` as
# acct.py load has it.
loaded() {
	local f
	{
		echo '.mode csv'
		for f; do
			echo ".import '$f' acct"
		done
		echo ".separator ' '"
		echo "select count(*), count(distinct msgId || ' ' || rcptIndex),
			total(type = 'd') || '', total(type = 'b') || ''
			from acct where type in ('d', 'b');"
	} | sqlite3 :memory: | sed 's/\.0//g'
}

# accounts N [FILE...]: the exported accounting, as sqlite3 and as Python read
# it, has one final record for each of N recipients, and the delivered ones are
# those that the sink took.
accounts() {
	local n=$1 sum
	shift
	[ $# != 0 ] || set -- "$P"/log/acct*.csv
	sum=$(python3 "$HELPER/acct.py" load -- "$@") || return 1
	[[ $sum == "$n $n "* ]] || fail "$n recipients, the accounting: $sum" ||
		return 1
	python3 "$HELPER/acct.py" rows rcpt type=d -- "$@" |
		sort >"$P/accounted"
	taken | sort -u | diff "$P/accounted" - >"$P/diff" ||
		fail "accounting and sink differ: $(head -n 5 "$P/diff")" ||
		return 1
	! command -v sqlite3 >/dev/null ||
		equal "$sum" "$(loaded "$@")" 'as sqlite3 reads it'
}

# crash_seed: RANDOM from VMTA_SEED, or a new one; shown when the test fails.
crash_seed() {
	SEED=${VMTA_SEED:-$((RANDOM * 32768 + RANDOM))}
	echo "VMTA_SEED=$SEED"
	RANDOM=$SEED
}

# loop_spool SIZE [MKFS-OPTION...]: an ext4 of that size, journaled, in a file
# ($IMAGE), mounted as the spool; unmounted by end_spool.
loop_spool() {
	local size=$1
	shift
	IMAGE=$P/image
	truncate -s "$size" "$IMAGE"
	mkfs.ext4 -q -F -m 0 -E lazy_itable_init=0,lazy_journal_init=0 "$@" \
		"$IMAGE" || return 1
	mount -o loop,"${MOUNT_OPTIONS:-relatime}" "$IMAGE" "$P/spool" \
		2>/dev/null || skip "needs to mount a loop device"
	chmod 0700 "$P/spool"
}

end_spool() {
	[ -z "${P:-}" ] || umount "$P/spool" 2>/dev/null || true
}
