# vmta-runq: a domain that stalls, and a slow one, delay no other. What is
# compared is how long twenty others take by the log of their peer, with those
# two beside them and without; their peer answers after a fixed time, so that
# neither this machine nor what else runs on it decides. (It may all the same:
# then both are measured again, five times at most.)

load helper/common
load helper/runq

setup() {
	make_prefix
}

teardown() {
	end_test
}

# peers STAGE: the peer of the twenty (good), one that says nothing any more
# from STAGE on (stall), one that takes a minute for a message (slow).
peers() {
	local i listen=(-l 127.1.0.1:0)
	for i in $(seq 2 20); do
		listen+=(-l "127.1.0.$i:=")
	done
	start_sink -n good "${listen[@]}" --delay 'bdat 250'
	GOOD=$SINK_PORT
	start_sink -n stall --delay "$1 3600000"
	STALL=$SINK_PORT
	start_sink -n slow --delay 'bdat 60000'
	SLOW=$SINK_PORT
}

# fconf [SETTING...]: one VirtualMTA with these; a host for each domain.
fconf() {
	local i
	HOSTS="'[127.1.0.1]:$GOOD'" rconf <<-END
		virtual-mta v1 {
			smtp-source-host = '127.0.0.1 v1.example'
			$(printf '%s\n' "$@")
		}
		domain 'stall.example' { smtp-hosts = {'[127.0.0.1]:$STALL'} }
		domain 'slow.example' {
			smtp-hosts = {'[127.0.0.1]:$SLOW'}
			max-smtp-out = 1
		}
		$(for i in $(seq 20); do
			echo "domain 'g$i.example' {"
			echo "smtp-hosts = {'[127.1.0.$i]:$GOOD'}"
			echo "max-smtp-out = 1 }"
		done)
	END
}

# connected NAME N
connected() {
	[ "$(sink_count connections "$1")" -ge "$2" ]
}

# good_has N
good_has() {
	sink_has "$1" good
}

# took [DOMAIN...]: milliseconds that 32 messages for each of the twenty take,
# when 1,000 for each of these domains were there first.
took() {
	local seen d
	rm -rf "$P/spool"/*
	start_daemon
	for d; do
		seen=$(sink_count connections "$d")
		send_many 1 1000 "$d.example"
		wait_until connected "$d" $((seen + 1))
	done
	seen=$(sink_count messages good)
	# shellcheck disable=SC2046
	send_many 1 640 $(seq -f 'g%g.example' 20)
	wait_until good_has $((seen + 640))
	kill -s KILL "$RUNQ_PID"
	wait "$RUNQ_PID" || true # with all its threads and locks
	sink_log msg good | field t | tail -n 640 | sort -n |
		awk 'NR == 1 { first = $1 }
			END { printf "%d\n", ($1 - first) * 1000 }'
}

# keeps_rate: the twenty are not slower than 95 % of what they are alone.
keeps_rate() {
	local i without=0 with
	for i in 1 2 3 4 5; do
		without=$(took) || return 1
		with=$(took stall slow) || return 1
		echo "# alone $without ms, beside them $with ms" >&3
		[ $((without * 100)) -lt $((with * 95)) ] || break
	done
	[ $((without * 100)) -ge $((with * 95)) ] ||
		fail "alone $without ms, beside them $with ms"
	# 32 times 250 ms
	[ "$without" -gt 7000 ] || fail "alone $without ms"
	# They were there, and had their connections.
	[ "$(sink_count connections stall)" -ge 1 ]
	[ "$(sink_count connections slow)" -ge 1 ]
}

# bats test_tags=slow
@test "FAIR: a domain that accepts and stalls, and a slow one" {
	peers greeting
	fconf
	keeps_rate
}

# bats test_tags=slow
@test "FAIR: the same where the VirtualMTA's own connections are few" {
	peers greeting
	fconf 'max-smtp-out = 30'
	keeps_rate
}

# bats test_tags=slow
@test "FAIR: one that stalls after EHLO has few of the connections" {
	peers mail
	# Three more than the others need.
	fconf 'max-smtp-out = 23'
	keeps_rate
	[ "$(sink_count max-concurrent stall)" -le 2 ]
}

# two SETTING...: max-smtp-out of the VirtualMTA is SLOTS; two hosts.
two() {
	start_sink -n a --delay 'bdat 100'
	A=$SINK_PORT
	start_sink -n b --delay 'bdat 100'
	HOSTS="'[127.0.0.1]:$A'" rconf "$@" <<-END
		virtual-mta v1 {
			smtp-source-host = '127.0.0.1 v1.example'
			max-smtp-out = $SLOTS
		}
		domain 'b.example' { smtp-hosts = {'[127.0.0.1]:$SINK_PORT'} }
	END
}

# meanwhile: how many messages of a came between the first and last of b.
meanwhile() {
	{
		sink_log msg b | field t | sed 's/$/ b/'
		sink_log msg a | field t | sed 's/$/ a/'
	} | sort -n | awk '
		$2 == "b" { n += since; since = 0; seen = 1 }
		$2 == "a" && seen { since++ }
		END { print n + 0 }'
}

# bats test_tags=slow
@test "FAIR: a queue with all connections makes room, for half of them" {
	SLOTS=4 two
	start_daemon
	send_many 1 400 a.example
	wait_until sink_has 20 a
	send_many 401 480 b.example
	wait_until sink_has 80 b
	n=$(meanwhile)
	echo "# a sent $n meanwhile" >&3
	# 80 or so with two connections each; with one against three, 240.
	[ $n -lt 160 ]
	[ "$(sink_count max-concurrent b)" -ge 2 ]
	wait_until sink_has 400 a
	end "$RUNQ_PID"
	all_final 480
}

@test "FAIR: a connection that rests makes room" {
	SLOTS=1 two 'connection-idle-timeout = 5m'
	start_daemon
	send r1@a.example
	wait_until sink_has 1 a
	send r2@b.example
	wait_until sink_has 1 b
	send r3@a.example
	wait_until sink_has 2 a
	end "$RUNQ_PID"
	all_final 3
}

# bats test_tags=slow
@test "FAIR: the only connection has its turn, then another queue's" {
	SLOTS=1 two
	start_daemon
	send_many 1 250 a.example
	wait_until sink_has 5 a
	send r@b.example
	wait_until sink_has 1 b
	[ "$(sink_count messages a)" -lt 200 ]
	end "$RUNQ_PID"
	settled
}

@test "FAIR: many queues wait for one connection; each is served" {
	SLOTS=1 two
	for i in $(seq 15); do
		echo "domain 'd$i.example' { command-timeout = $((60 + i))s }"
	done >>"$P/etc/vmta.conf"
	# shellcheck disable=SC2046
	send_many 1 30 $(seq -f 'd%g.example' 15)
	deliver
	equal 1 "$(sink_count max-concurrent a)"
	all_final 30
}
