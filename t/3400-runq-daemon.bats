# vmta-runq: staying, being waked, signals, several runs beside each other.

load helper/common
load helper/runq
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
}

teardown() {
	end_test
}

now_ms() {
	date +%s%3N
}

@test "a daemon: mail leaves within a second of its injection" {
	start_sink
	rconf1
	start_daemon
	# On a loaded machine some may be slow, not all of them.
	for i in $(seq 30); do
		send "r$i@d$i.example"
		begun=$(now_ms)
		wait_until sink_has $i
		ms=$(($(now_ms) - begun))
		[ $i -lt 5 ] || [ $ms -ge 1000 ] || break
	done
	[ $ms -lt 1000 ] || fail "none of $i left within a second"
	equal $i "$(sink_count messages)"
	end "$RUNQ_PID"
	all_final $i
}

@test "a daemon that is long idle ends at SIGTERM, at once, with 0" {
	start_sink
	rconf1
	start_daemon
	kill -s TERM "$RUNQ_PID"
	wait_until -t 60 gone "$RUNQ_PID"
	wait "$RUNQ_PID"
	settled
}

# bats test_tags=slow
@test "SIGTERM in mid-run: what is in flight ends, the rest stays, exit 0" {
	start_sink --delay 'bdat 10'
	rconf1 'max-smtp-out = 2'
	send_many 1 1000 one.example
	start_runq
	wait_until sink_has 20
	kill -s TERM "$RUNQ_PID"
	wait_until -t 90 gone "$RUNQ_PID"
	wait "$RUNQ_PID"
	settled
	n=$(sink_count messages)
	[ "$n" -lt 1000 ] || fail "all had left"
	# Nothing was broken off: each that arrived has its record.
	equal "$n" "$(journal type type=d | wc -l)"
	equal 0 "$(journal type type=t | wc -l)"
	waiting $((1000 - n))
	equal 0 "$(sink_log close | field how | grep -vc quit)"
	deliver
	equal 1000 "$(sink_count messages)"
	all_final 1000
}

# bats test_tags=slow
@test "SIGINT is the same; a second signal ends it at once" {
	start_sink --delay 'bdat 90000'
	rconf1
	send a@one.example
	start_runq
	wait_until sink_connected
	kill -s INT "$RUNQ_PID"
	alive "$RUNQ_PID"
	wait_until -t 60 interrupted
	# 130: one of them met it on its last way out.
	wait "$RUNQ_PID" || equal 130 $?
	waiting 1
	equal 0 "$(journal type type=d | wc -l)"
}

# Another SIGINT (two that come at once are one); has it ended?
interrupted() {
	kill -s INT "$RUNQ_PID" 2>/dev/null
	gone "$RUNQ_PID"
}

sink_connected() {
	[ "$(sink_log ehlo | wc -l)" -ge 1 ]
}


@test "several workers: SIGTERM to the parent ends all of them" {
	start_sink --delay 'bdat 10'
	for i in $(seq 6); do
		echo "virtual-mta v$i {"
		echo "smtp-source-host = '127.9.$i.7 v$i.example'"
		echo "max-smtp-out = 1 }"
	done | rconf
	for i in $(seq 6); do
		send_many 1 200 one.example -- --vmta "v$i"
	done
	start_runq --workers 3
	wait_until sink_has 20
	kill -s TERM "$RUNQ_PID"
	wait_until -t 90 gone "$RUNQ_PID"
	wait "$RUNQ_PID"
	settled
	n=$(sink_count messages)
	[ "$n" -lt 1200 ]
	waiting $((1200 - n))
	deliver --workers 2
	all_final 1200
}

@test "workers end with their killed parent; the next run goes on" {
	start_sink --delay 'bdat 10'
	for i in $(seq 6); do
		echo "virtual-mta v$i {"
		echo "smtp-source-host = '127.9.$i.7 v$i.example'"
		echo "max-smtp-out = 1 }"
	done | rconf
	for i in $(seq 6); do
		send_many 1 100 one.example -- --vmta "v$i"
	done
	start_runq --workers 3 --daemon
	wait_until sink_has 20
	kill -s KILL "$RUNQ_PID"
	# None of them owns anything after its last message.
	wait_until no_owner
	deliver
	all_final 600
}

no_owner() {
	[ -z "$(find "$P/spool/acct" -name '*.live')" ] &&
		! readlink /proc/[0-9]*/fd/* 2>/dev/null |
		grep -qxF "$P/spool/state/owners"
}

@test "SIGHUP: a good file is in force, also for new VirtualMTAs" {
	start_sink -l 127.0.0.1:0 -l 127.0.0.2:=
	rconf1
	start_daemon
	send a@one.example
	wait_until sink_has 1
	HOSTS="'[127.0.0.2]:$SINK_PORT'" rconf <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.3 new.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.4 v2.example' }
	END
	kill -s HUP "$RUNQ_PID"
	wait_until logged reloaded
	send b@one.example
	send --vmta v2 c@one.example
	wait_until sink_has 3
	equal "$(printf '%s\n' 127.0.0.1,v1.example,a 127.0.0.3,new.example,b \
		127.0.0.4,v2.example,c)" "$(sink_log msg | field src ehlo rcpt |
			tr '\t' , | sed 's/<//; s/@.*//' | sort)"
	end "$RUNQ_PID"
	all_final 3
}

# A tool has stored the configuration in force.
compiled() {
	vqueue count >/dev/null || true
	[ -e "$P/spool/state/config.img" ]
}

@test "SIGHUP: a broken file changes nothing" {
	start_sink
	rconf1
	start_daemon
	send a@one.example
	wait_until sink_has 1
	wait_until compiled
	cp "$P/etc/vmta.conf" "$P/etc/good"
	echo 'bogus = 1' >>"$P/etc/vmta.conf"
	kill -s HUP "$RUNQ_PID"
	wait_until logged '(error|configuration)' bogus
	send b@one.example 2>/dev/null
	wait_until sink_has 2
	alive "$RUNQ_PID"
	mv "$P/etc/good" "$P/etc/vmta.conf"
	kill -s HUP "$RUNQ_PID"
	wait_until logged reloaded
	send c@one.example
	wait_until sink_has 3
	end "$RUNQ_PID"
	all_final 3
}

@test "SIGHUP in mid-run loses nothing" {
	start_sink --delay 'bdat 3'
	rconf1 'max-smtp-out = 4'
	send_many 1 600 one.example two.example
	start_runq
	for n in 20 100 200 300; do
		wait_until sink_has $n
		rconf1 "max-smtp-out = $((n / 100 + 1))"
		kill -s HUP "$RUNQ_PID" 2>/dev/null || break
	done
	ended "$RUNQ_PID"
	settled
	equal 600 "$(sink_count messages)"
	all_final 600
}

# bats test_tags=slow
@test "SIGHUP: a VirtualMTA that goes waits from then on" {
	start_sink --delay 'bdat 10'
	rconf 'max-smtp-out = 1' <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.2 v2.example' }
	END
	send_many 1 300 one.example -- --vmta v1
	send_many 301 600 one.example -- --vmta v2
	start_runq
	wait_until sink_has 20
	rconf1 'max-smtp-out = 1'
	kill -s HUP "$RUNQ_PID"
	ended "$RUNQ_PID"
	settled
	equal 300 "$(sink_source 127.0.0.1 messages)"
	n=$(sink_source 127.0.0.2 messages)
	[ "$n" -lt 300 ] || fail "all of v2 had left"
	waiting $((300 - n))
	logged no-virtual-mta vmta=v2
}

@test "a second run beside a daemon returns at once, silently" {
	start_sink
	rconf1
	start_daemon
	run --separate-stderr timeout 20 "$P/bin/vmta-runq"
	equal 0 "$status"
	equal '' "$output$stderr"
	send a@one.example
	run timeout 20 "$P/bin/vmta-runq" --now
	equal 0 "$status"
	wait_until sink_has 1
	end "$RUNQ_PID"
	all_final 1
}

@test "twenty runs at the same time: one of them delivers" {
	start_sink
	rconf1
	send_many 1 200 one.example two.example
	pids=()
	for i in $(seq 20); do
		start "runq$i" "$P/bin/vmta-runq"
		pids+=("$STARTED")
	done
	for pid in "${pids[@]}"; do
		ended "$pid"
	done
	settled
	equal 200 "$(sink_count messages)"
	all_final 200
	equal 1 "$(logged run-end | grep -vc ' delivered=0 ')"
}

# bats test_tags=slow
@test "mail that is injected while runs end is never stranded" {
	start_sink
	rconf1
	for i in $(seq 40); do
		start "runq$i" "$P/bin/vmta-runq"
		pids+=("$STARTED")
		send "r$i@d$((i % 3)).example"
		# A run that begins after the injection, as cron would.
		start "after$i" "$P/bin/vmta-runq"
		pids+=("$STARTED")
	done
	for pid in "${pids[@]}"; do
		ended "$pid"
	done
	settled
	all_final 40
}

@test "--linger stays, takes what comes, and ends" {
	start_sink
	rconf1
	start_runq --linger 5s
	wait_until owned
	send a@one.example
	wait_until sink_has 1
	ended "$RUNQ_PID"
	settled
	all_final 1
}

@test "--at: not before its time, also in a daemon" {
	start_sink
	rconf1
	send --at "$(date -u -d '+5 hours' '+%Y-%m-%d %H:%M:%S+0000')" a@one.example
	deliver
	equal 0 "$(sink_count connections)"
	start_daemon
	send --at "$(date -u -d '+2 seconds' '+%Y-%m-%d %H:%M:%S+0000')" \
		b@one.example
	wait_until sink_has 1
	equal b@one.example "$(sink_log msg | field rcpt | tr -d '<>')"
	end "$RUNQ_PID"
	waiting 1
}

# first_sent FILE: how many directories of domains were opened before the first
# connection, by this log of calls.
first_sent() {
	awk '/"d[0-9]+\.example"/ { n++ } /connect\(.*AF_INET/ { print n; exit }' \
		"$1"
}

# bats test_tags=slow
@test "START: the first message leaves before all domains were looked at" {
	local domains
	need_strace
	start_sink
	rconf1
	mapfile -t domains < <(seq -f 'd%g.example' 2000)
	send_many 1 2000 "${domains[@]}"
	strace -f -e trace=openat,connect -o "$P/calls" "$P/bin/vmta-runq"
	settled
	all_final 2000
	[ "$(first_sent "$P/calls")" -le 600 ] ||
		fail "$(first_sent "$P/calls") of 2000 domains first"
}
