# vmta-runq: a resolver that dies, then goes mad, then comes back, in the
# middle of a run of 5,000 domains.

load helper/common
load helper/runq
load helper/dns

N=5000

zone() {
	awk -v n=$N 'BEGIN {
		for (i = 0; i < n; i++)
			printf "d%d.example. MX 10 mx%d.example.\n", i, i % 5
		for (i = 0; i < 5; i++)
			printf "mx%d.example. A 127.0.0.1\n", i
	}'
}

setup() {
	need_dns
	make_prefix
	start_sink
	start_nsd < <(zone)
	# unbound hears of 1,500 domains from nsd, and of no more for now
	start_dns_py gate gate "$(own_address)@5397" "$NSD" d 1500 "$P/closed"
	DNS_BEHIND=$(cat "$(scratch)/gate/address")
	export DNS_BEHIND
	start_unbound 'qname-minimisation: no'
}

teardown() {
	end_test
}

# deferred N: has DNS deferred so many queues?
deferred() {
	[ "$(log_lines queue-deferred 'stage=dns' | wc -l)" -ge "$1" ]
}

# say TEXT: with the time, for people.
say() {
	local now=${EPOCHREALTIME/./}
	echo "# $(((now - BEGAN) / 1000)) ms: $*" >&3
}

# killed: unbound dies, and what comes instead says NXDOMAIN to everything.
killed() {
	stop_dns unbound KILL
	say "killed: $(sink_count messages) delivered"
	start_unbound -n mad -a "$UNBOUND" 'local-zone: "." always_nxdomain'
}

# back: the real one again, which remembers nothing.
back() {
	stop_dns mad KILL
	rm "$P/closed"
	start_unbound -a "$UNBOUND"
	say "back"
}

# bats test_tags=slow
@test "P40: unbound killed, then NXDOMAIN for all, amid 5,000 domains: 0 bounces" {
	dconf 'retry-after = 2s'
	awk -v n=$N 'BEGIN {
		for (i = 0; i < n; i++) {
			print "MAIL FROM:<s@sender.example>"
			printf "RCPT TO:<a@d%d.example>\n", i
			print "DATA\nSubject: x\n\nx\n."
		}
	}' | inject --bsmtp >/dev/null
	BEGAN=${EPOCHREALTIME/./}
	start runq "$P/bin/vmta-runq" --linger 4m
	local run=$STARTED
	wait_until test -e "$P/closed"
	say "1,500 answers: $(sink_count messages) delivered"
	wait_until sink_has 300
	killed
	wait_until -t 120 deferred 2000
	wait_until report_says_so
	say "mad: $(log_lines queue-deferred 'stage=dns' | wc -l) deferred," \
		"$(sink_count messages) delivered"
	equal 0 "$(log_lines bounced | wc -l)" bounces
	back
	wait_until -t 300 sink_has $N
	say "all delivered"
	wait_until brake_off
	end "$run"
	log_lines dns-brake state=on | grep -q .
	say "$(types)"
	equal 0 "$(journal type type=b | wc -l)" bounces
	equal '' "$(dns_status)"
	all_final $N
}

brake_off() {
	log_lines dns-brake state=off | grep -q .
}

report_says_so() {
	dns_status | grep -q 'the canary mta.example'
}
