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
	rconf "$@" <<-'END'
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
	run failing '?renameat,?renameat2' 3 "$P/bin/vmta-queue" move --all --to v2
	[ "$status" != 0 ]
	[ -n "$(ls "$P/spool/commit")" ]
	rm -rf "$P/spool/queue/v2/new"
	touch "$P/spool/queue/v2/new"
	run -74 runq
	equal 0 "$(sink_count messages)"
	logged unfinished-move vmta=v1
	run vqueue delete --all
	equal 75 "$status" 'exit of delete'
	# Other mail leaves.
	rm "$P/spool/queue/v2/new"
	deliver
	equal 1 "$(sink_count messages)"
	equal 127.0.0.2 "$(sink_sources)"
	all_final 1
}

@test "EXPIRE: a queue that cannot connect expires what was due, no more" {
	start_sink --reply 'rcpt first=1 451 4.7.1 Later'
	rconf1 'retry-after = 5h'
	send deferred@one.example
	deliver
	unreachable 'bounce-after = 0s'
	send due@one.example
	send --at "$(hence '+5 hours')" scheduled@one.example
	send --job j paused@one.example
	send held@one.example
	vqueue hold --rcpt held@one.example
	vqueue pause --job j
	deliver
	equal due@one.example "$(journal rcpt type=b)"
	waiting 4
	vqueue resume --all
	vqueue retry-now --rcpt paused@one.example
	deliver
	equal 'due@one.example paused@one.example' \
		"$(journal rcpt type=b | sort | xargs)"
	waiting 3
}
