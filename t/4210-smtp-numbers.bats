# Numbers of a server, and of the spool, at and beyond what integers hold; and
# a message that is larger than 2^31.

load helper/common
load helper/runq

setup() {
	make_prefix
}

teardown() {
	end_test
}

# start_peer [STAGE=TEXT...]: see helper/hostile.py.
start_peer() {
	rm -f "$P/port"
	start peer python3 "$HELPER/hostile.py" "$P/port" "$@"
	wait_until test -s "$P/port"
	SINK_PORT=$(cat "$P/port")
	rconf1 'retry-after = 5h'
}

@test "V17: SIZE of 2^31, 2^32, 2^63, 2^64 in EHLO: none is too small" {
	n=0
	for size in 2147483648 4294967296 9223372036854775807 \
		9223372036854775808 18446744073709551616 -1; do
		start_peer "ehlo=250-x\r\n250 SIZE $size\r\n"
		send "r$size@one.example"
		deliver
		n=$((n + 1))
		all_final $n
		end "$STARTED"
	done
	equal "d=$n r=$n" "$(types)"
}

@test "V17: attempts and steps at their last number stay there" {
	start_peer rcpt='450 4.2.0 later\r\n'
	send a@one.example
	deliver
	sed -i 's/^R t 001/R t 999/' "$P"/spool/queue/v1/cur/one.example/*
	for _ in 1 2; do
		deliver --now
		grep -q '^R t 999 ' "$P"/spool/queue/v1/cur/one.example/* ||
			fail "$(cat "$P"/spool/queue/v1/cur/one.example/*)"
	done
	equal 999 "$(vqueue list --format csv | csv attempts)"
	end "$STARTED"
	# The queue's own clock, far beyond its ladder.
	start_peer greeting='421 4.3.2 later\r\n'
	mkdir -p "$P/spool/state/retry/v1"
	for step in 2147483647 4294967295 9223372036854775807; do
		printf 'vmta-retry 1\nstep: %s\nnext: 99991231T235959Z\n' $step \
			>"$P/spool/state/retry/v1/one.example"
		now=$(date +%s)
		deliver --now
		next=$(sed -n 's/^next: //p' \
			"$P/spool/state/retry/v1/one.example")
		next=$(date -u -d "$(sed -E 's/(....)(..)(..)T(..)(..)(..)Z/\1-\2-\3 \4:\5:\6/' <<<"$next")" +%s)
		((next >= now + 18000 && next <= now + 20000)) ||
			fail "step $step: next in $((next - now)) s"
	done
	vmta-check spool
	end "$STARTED"
	start_peer
	deliver --now
	all_final 1
}

# Megabytes left in memory, and for this test's files.
have() {
	local mem disk
	mem=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
	disk=$(df -Pm "$P" | awk 'END { print $4 }')
	[ "$mem" -ge "$1" ] || skip "needs $1 MB of memory"
	[ "$disk" -ge "$2" ] || skip "needs $2 MB of disk"
}

# bats test_tags=slow
@test "V17: a message of 2 GiB and an octet is delivered, all of it" {
	case $BUILD in
	*/asan | */cov | */int) skip "too slow with sanitizers" ;;
	esac
	have 8000 6000
	size=2147483649
	# One server takes an octet less than 2 GiB and an octet.
	start_peer "ehlo=250-x\r\n250 SIZE 2147483648\r\n"
	small=$SINK_PORT
	start_sink --size 0
	rconf1 'retry-after = 5h'
	cat >>"$P/etc/vmta.conf" <<-END
		max-message-size = 0
		domain two.example { smtp-hosts = {'[127.0.0.1]:$small'} }
	END
	{
		printf 'Message-ID: <1@s.example>\nDate: x\nSubject: x\n\n'
		yes 0123456789012345678901234567890123456789012345678901234567 |
			head -c 2112000000
	} | inject -f s@sender.example a@one.example b@two.example
	bytes=$(vqueue list --format csv | csv bytes | sort -u)
	((bytes >= size)) || fail "stored $bytes octets"
	vmta-check spool
	deliver
	equal 1 "$(sink_count messages)"
	equal "$bytes" "$(sink_count bytes)"
	equal "$bytes" "$(journal dlvSize type=d)"
	sink_strict
	[[ $(journal dsnStatus type=b rcpt=b@two.example) == 5.3.4* ]]
	all_final 2
}
