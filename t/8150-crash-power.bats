# Power loss, two ways. The image of a journaled ext4 is copied in the middle
# of a run; the copy is mounted (its journal is replayed) and a run does the
# rest. And the system calls of one injection and one delivery are replayed up
# to each change, with all that no sync covered there, lost, or partly there.
#
# Here few copies and few trees; VMTA_CRASH_FULL=1: many. VMTA_SEED repeats
# the choices.
# bats file_tags=slow

load helper/common
load helper/runq
load helper/crash

setup() {
	make_prefix
	crash_seed
}

teardown() {
	end_spool
	end_test
}

# A run that stands still after about N more messages. Its threads too.
run_and_freeze() {
	local at=$(($(sink_count messages) + $1))
	start_runq
	wait_until moved_on "$at"
	kill -s STOP "$RUNQ_PID" 2>/dev/null || true
}

moved_on() {
	gone "$RUNQ_PID" || [ "$(sink_count messages)" -ge "$1" ]
}

# The copy of the image takes the place of the spool, which is lost.
lose_power() {
	cp --sparse=always "$IMAGE" "$P/copy"
	kill -s KILL "$RUNQ_PID" 2>/dev/null || true
	wait "$RUNQ_PID" 2>/dev/null || true
	umount "$P/spool"
	mv "$P/copy" "$IMAGE"
	mount -o loop,commit=600 "$IMAGE" "$P/spool"
}

@test "power fails in mid-run: what was acknowledged is there" {
	local i rounds=3 n=0 share
	need_root
	[ -z "${VMTA_CRASH_FULL:-}" ] || rounds=20
	MOUNT_OPTIONS=commit=600 loop_spool 128M
	start_sink --delay 'bdat 2'
	rconf1 'max-smtp-out = 8' <<<''
	for ((i = 0; i < rounds; i++)); do
		send_many $((n + 1)) $((n + 2000)) a.example b.example c.example
		n=$((n + 2000))
		run_and_freeze $((RANDOM % 1800))
		lose_power
	done
	deliver --now
	equal '' "$(vmta-check spool)" 'vmta-check spool'
	nothing_waits
	python3 "$HELPER/acct.py" finals $n -- "$P"/spool/acct/*.csv
	each_taken $n $((256 * rounds)) "kills=$rounds"
}

# make_oracle: $P/oracle DIR CHANGES WHEN. A run on the tree DIR leaves nothing
# and both recipients have one final record; or, when the command had not ended
# and MUST is `no', none has: all of a message is there or nothing.
make_oracle() {
	cat >"$P/oracle" <<-'END'
		#!/bin/bash
		set -u
		export VMTA_CONFIG=$P/etc/lost.conf
		say() { echo "oracle: $*" >&2; exit 1; }
		log=$(timeout 60 "$P/bin/vmta-runq" --now 2>&1) ||
			say "vmta-runq: exit $?: $log"
		left=$("$P/bin/vmta-queue" count)
		[ "$left" = 0 ] || say "$left wait still"
		found=$("$P/bin/vmta-check" spool) || say "vmta-check: $found"
		[ -z "$found" ] || say "$found"
		finals=$(grep -ch '^[db],' "$1"/acct/*.csv 2>/dev/null |
			awk '{ n += $1 } END { print n + 0 }')
		case $finals:$3 in
		2:*) ;;
		0:open) [ "$MUST" = no ] || say "lost" ;;
		*) say "$finals final records, $3" ;;
		esac
	END
	chmod +x "$P/oracle"
	sed "s|^host-name|spool = $P/lost\n&|; s|^acct-file.*||; s|^log-file.*||" \
		"$P/etc/vmta.conf" >"$P/etc/lost.conf"
	export P MUST
}

replay() {
	local each=6
	[ -z "${VMTA_CRASH_FULL:-}" ] || each=40
	make_oracle
	python3 "$HELPER/powerloss.py" "$P/calls" "$P/spool" "$P/before" \
		"$P/lost" "$SEED" $each "$P/oracle" >"$P/said" ||
		fail "a tree that could not be recovered"
	tally "faults=$(sed -n 's/.*, \([0-9]*\) trees/\1/p' "$P/said")"
	echo "# $(cat "$P/said")" >&3
}

# all_calls COMMAND...: its calls in $P/calls; the spool as it was in $P/before.
all_calls() {
	cp -a "$P/spool" "$P/before"
	strace -f -y -xx -s 9999999 -qq -e signal=none -o "$P/calls" "$@"
}

@test "power fails at any change of an injection: all of it or nothing" {
	need_strace
	need_plain 'too many runs'
	start_sink
	rconf1
	MUST=no
	all_calls "$P/bin/vmta-inject" -f s@sender.example a@a.example \
		b@b.example < <(message)
	replay
}

@test "power fails at any change of a delivery: it is done in the end" {
	need_strace
	need_plain 'too many runs'
	start_sink
	rconf1
	send a@a.example b@b.example
	MUST=yes
	all_calls timeout 60 "$P/bin/vmta-runq"
	replay
}
