# vmta-runq and vmta-queue when something goes wrong here: a move that cannot
# be completed, expiry, clocks, faults of the disk.

load helper/common
load helper/runq
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
}

teardown() {
	end_test
}

rconf2() {
	rconf <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.2 v2.example' }
	END
}

# unreachable [SETTING...]: nobody listens where mail goes.
unreachable() {
	HOSTS="'[127.0.0.3]:9'" rconf1 'retry-after = 5h' "$@"
}

hence() {
	date -u -d "$1" '+%Y-%m-%d %H:%M:%S+0000'
}

# failing SYSCALL N COMMAND...: its calls fail with EIO from the Nth on.
failing() {
	local call=$1 when=$2
	shift 2
	strace -f -qq -o "$P/strace" -e trace="$call" \
		-e inject="$call:error=EIO:when=$when+" "$@"
}

@test "STUCK: a move that cannot be completed: nothing leaves from the old batch" {
	need_strace
	start_sink
	rconf2
	send a@one.example
	vqueue count # the configuration is compiled
	# The request, and the record; not what it says.
	local n
	for n in 2 3 4 5 6; do
		[ -z "$(ls "$P/spool/commit")" ] || break
		run failing '?renameat,?renameat2' $n \
			"$P/bin/vmta-queue" move --all --to v2
		[ "$status" != 0 ]
	done
	[ -n "$(ls "$P/spool/commit")" ]
	rm -rf "$P/spool/queue/v2/new"
	touch "$P/spool/queue/v2/new"
	run -74 runq
	equal 0 "$(sink_count messages)"
	# what has moved waits in the record, for nobody else
	run vqueue delete --all
	equal 1 "$status" 'exit of delete: nothing is there'
	# Other mail leaves.
	rm "$P/spool/queue/v2/new"
	deliver
	equal 1 "$(sink_count messages)"
	equal 127.0.0.2 "$(sink_sources)"
	all_final 1
}

@test "STUCK: a move whose record is damaged: all mail of that VirtualMTA waits" {
	start_sink
	rconf2
	send a@one.example b@two.example
	send --vmta v2 c@one.example
	printf 'vmta-commit 1\ntake v1 one.example x\nend 9\n' \
		>"$P/spool/commit/1lp6jv7m0d3k8q2r5t1ub"
	run -74 runq
	equal 1 "$(sink_count messages)"
	equal 127.0.0.2 "$(sink_sources)"
	# and no request says that it is done
	run vqueue delete --vmta v1
	[ "$status" -gt 1 ] || fail "$status: $output"
	[[ $output == *'a move of mail of v1 is not complete'* ]] ||
		fail "$output"
	rm "$P/spool/commit/1lp6jv7m0d3k8q2r5t1ub"
	deliver
	all_final 3
}

@test "EXPIRE: a queue that cannot connect expires what was due, no more" {
	start_sink --reply 'rcpt first=1 451 4.7.1 Later'
	rconf1 'retry-after = 5h'
	send deferred@one.example mate@one.example
	vqueue hold --rcpt mate@one.example
	deliver
	# Of one batch, one is due and one is not.
	vqueue release --rcpt mate@one.example
	unreachable 'bounce-after = 0s'
	send due@one.example
	send --at "$(hence '+5 hours')" scheduled@one.example
	send --job j paused@one.example
	send held@one.example
	vqueue hold --rcpt held@one.example
	vqueue pause --job j
	deliver
	equal 'due@one.example mate@one.example' \
		"$(journal rcpt type=b | sort | xargs)"
	waiting 4
	vqueue resume --all
	vqueue retry-now --rcpt paused@one.example
	deliver
	equal 'due@one.example mate@one.example paused@one.example' \
		"$(journal rcpt type=b | sort | xargs)"
	waiting 3
}

# two_hosts [SETTING...]: good.example goes to the last sink, all other domains
# to 127.0.0.4, where nothing is answered in time.
two_hosts() {
	HOSTS="'[127.0.0.4]:$BAD_PORT'" rconf "$@" <<-END
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		domain 'good.example' { smtp-hosts = {'[127.0.0.1]:$SINK_PORT'} }
	END
}

# hurry PID: another signal, until it is gone.
hurry() {
	kill -s TERM "$1" 2>/dev/null
	gone "$1"
}

awaited() {
	[ "$(sink_count connections "$2")" -ge "$1" ]
}

@test "WINDOW: hosts that do not answer to the end of data hold up no other" {
	start_sink -n bad -l 127.0.0.4:0 --delay 'dot 600000' \
		--delay 'bdat 600000'
	BAD_PORT=$SINK_PORT
	start_sink -n good
	two_hosts 'max-rcpt-per-transaction = 100'
	for d in a b; do
		# shellcheck disable=SC2046
		send $(seq -f "r%g@$d.example" 300)
	done
	start_runq
	wait_until awaited 2 bad
	send x@good.example
	wait_until -t 30 sink_has 1 good
	wait_until -t 20 hurry "$RUNQ_PID"
	settled
	# What had no answer is told so, and no more of it than the window.
	n=$(journal dsnDiag type=t | grep -c ^ambiguous)
	[ "$n" -ge 100 ] && [ "$n" -le 256 ] || fail "$n ambiguous"
}

@test "HURRY: signal after signal: what was sent to its end has a record" {
	start_sink --delay 'dot 600000' --delay 'bdat 600000'
	rconf1 'bounce-after = 0s'
	send a@one.example
	start_runq
	wait_until awaited 1 sink
	wait_until ended_data
	wait_until -t 20 hurry "$RUNQ_PID"
	settled
	equal 1 "$(journal dsnDiag type=t | grep -c ^ambiguous)"
	equal 0 "$(journal type type=b | wc -l)"
	waiting 1
}

ended_data() {
	sink_log msg | grep -q .
}

@test "SLOT: a connection that waits for the answer to QUIT counts" {
	start_sink --delay 'quit 300'
	rconf1 'max-smtp-out = 2' 'max-msg-per-connection = 1'
	send_many 1 10 one.example
	deliver
	equal 2 "$(sink_count max-concurrent)"
	all_final 10
}

@test "SLOT: of total-max-smtp-out, too, and of the VirtualMTA's" {
	start_sink --delay 'quit 300'
	rconf 'max-msg-per-connection = 1' <<-'END'
		total-max-smtp-out = 3
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 {
			smtp-source-host = '127.0.0.2 v2.example'
			max-smtp-out = 1
		}
	END
	send_many 1 8 a.example b.example c.example
	send_many 9 12 a.example b.example -- --vmta v2
	deliver
	[ "$(sink_count max-concurrent)" -le 3 ]
	equal 1 "$(sink_source 127.0.0.2 max-concurrent)"
	all_final 12
}

@test "LOCAL: content that cannot be read is charged to nobody" {
	need_strace
	start_sink
	rconf1 'bounce-after = 0s' 'retry-after = 5h'
	head -c 200000 /dev/zero | tr '\0' x | fold -w 70 >"$P/body"
	{
		message big
		cat "$P/body"
	} | inject -f s@sender.example big@one.example
	failing '?sendfile' 1 "$P/bin/vmta-runq"
	equal '' "$(journal rcpt | grep . | grep -v '^big@one.example$')"
	equal r "$(journal type | sort -u | xargs)"
	[ ! -e "$P/spool/state/retry/v1/one.example" ]
	waiting 1
	deliver
	all_final 1
}

@test "REQUEST: what a killed vmta-queue wanted is not done, now or later" {
	start_sink --reply 'greeting 421 4.3.2 Busy'
	rconf1 'retry-after = 5h'
	send a@one.example
	start_daemon
	wait_until logged queue-deferred
	kill -s STOP "$RUNQ_PID"
	start delete "$P/bin/vmta-queue" delete --all
	wait_until requested
	kill -s KILL "$STARTED"
	# A zombie's threads may still hold its locks; waited for, none.
	wait "$STARTED" || true
	kill -s CONT "$RUNQ_PID"
	# The daemon looks at control/ for what comes after it.
	equal "1 of 1 recipients" "$(vqueue hold --all)"
	equal 0 "$(logged request command=delete | wc -l)"
	waiting 1
	end "$RUNQ_PID"
	equal 0 "$(journal type type=b | wc -l)"
}

requested() {
	[ -n "$(find "$P/spool/control" -name '*.req')" ]
}

@test "ANSWER: what cannot be read is no success" {
	need_strace
	start_sink
	rconf1
	send a@one.example
	vqueue count
	strace -f -qq -o "$P/strace" -e trace=pread64 -P "$(find "$P/spool/queue" \
		-type f)" -e inject=pread64:error=EIO \
		"$P/bin/vmta-queue" delete --all >"$P/out" 2>"$P/err" && status=0 ||
		status=$?
	equal 74 "$status" 'exit of delete'
	equal '' "$(cat "$P/out")"
	grep -q 'cannot be read' "$P/err"
	equal "1 of 1 recipients" "$(vqueue delete --all)"
}

@test "LOOK: a directory that could not be read is read again" {
	need_strace
	start_sink
	rconf1
	send a@one.example
	vqueue count
	strace -f -qq -o "$P/strace" -e trace=getdents64 \
		-P "$P/spool/queue/v1/new" \
		-e inject=getdents64:error=EIO:when=1..2 \
		timeout 60 "$P/bin/vmta-runq"
	grep -q INJECTED "$P/strace"
	all_final 1
}

# with_clock: from now on programs see the wall clock that set_clock SECONDS
# sets, so many off the true one.
with_clock() {
	need_plain "their runtime wants to be loaded first"
	need_command cc
	cat >"$P/clock.c" <<-'END'
		#include <sys/syscall.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <time.h>
		#include <unistd.h>

		int
		clock_gettime(clockid_t id, struct timespec *ts)
		{
			int rc = (int)syscall(SYS_clock_gettime, id, ts);
			long off = 0;
			FILE *f;

			if (id != CLOCK_REALTIME)
				return (rc);
			if ((f = fopen(getenv("TEST_CLOCK"), "r")) != NULL) {
				if (fscanf(f, "%ld", &off) == 1)
					ts->tv_sec += off;
				(void)fclose(f);
			}
			return (rc);
		}
	END
	cc -shared -fPIC -O1 -o "$P/clock.so" "$P/clock.c"
	export TEST_CLOCK=$P/clock
	set_clock 0
	clocked() {
		LD_PRELOAD=$P/clock.so "$@"
	}
}

set_clock() {
	echo "$1" >"$P/clock.new"
	mv "$P/clock.new" "$P/clock"
}

@test "CLOCK: set back between runs: nothing is left waiting" {
	with_clock
	start_sink --reply 'rcpt:late* first=1 451 4.7.1 Later'
	rconf1
	set_clock 86400
	message | clocked "$P/bin/vmta-inject" -f s@a.example late@one.example
	clocked "$P/bin/vmta-runq"
	equal 0 "$(sink_count messages)"
	message | clocked "$P/bin/vmta-inject" -f s@a.example new@one.example
	set_clock 0
	clocked "$P/bin/vmta-runq"
	all_final 2
}

@test "CLOCK: set back while a daemon runs: it goes on as before" {
	with_clock
	start_sink --reply 'rcpt:late* first=1 451 4.7.1 Later'
	rconf1 'retry-after = 4s'
	start runq env LD_PRELOAD="$P/clock.so" "$P/bin/vmta-runq" --daemon
	RUNQ_PID=$STARTED
	wait_until owned
	send late@one.example
	wait_until logged deferred
	set_clock -86400
	wait_until -t 30 sink_has 1
	send new@one.example
	wait_until -t 30 sink_has 2
	logged clock-set
	end "$RUNQ_PID"
	all_final 2
}

@test "CLOCK: set forward: mail does not expire for that" {
	with_clock
	start_sink --reply 'rcpt first=2 451 4.7.1 Later'
	rconf1 'retry-after = 4s'
	start runq env LD_PRELOAD="$P/clock.so" "$P/bin/vmta-runq" --daemon
	RUNQ_PID=$STARTED
	wait_until owned
	send late@one.example
	wait_until logged deferred
	set_clock $((86400 * 90))
	wait_until -t 60 sink_has 1
	end "$RUNQ_PID"
	equal 0 "$(journal type type=b | wc -l)"
}
