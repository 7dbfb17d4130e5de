# vmta-runq and a resolver that has lost its mind: NXDOMAIN bounces only what
# does not exist.

load helper/common
load helper/runq
load helper/dns

# good0 ... good99, sub.bad0 ... exist; bad is a domain to be denied.
zone() {
	local i
	for ((i = 0; i < 100; i++)); do
		echo "good$i.example. MX 10 mx.example."
		echo "d$i.bad.example. MX 10 mx.example."
	done
	echo "mx.example. A 127.0.0.1"
	echo "alive.example. TXT alive"
}

setup_file() {
	need_dns
	start_nsd < <(zone)
	export NSD
}

teardown_file() {
	end_test
}

setup() {
	make_prefix
	start_sink
}

teardown() {
	end_test
}

# to FIRST LAST PATTERN: a message to each domain, N for % in PATTERN.
to() {
	local i
	for ((i = $1; i <= $2; i++)); do
		echo "MAIL FROM:<s@sender.example>"
		echo "RCPT TO:<a@${3/\%/$i}>"
		printf 'DATA\nSubject: x\n\n%s\n.\n' "$i"
	done | inject --bsmtp >/dev/null
}

# mad [SOA]: the resolver goes; where it was, one says NXDOMAIN to all.
mad() {
	stop_dns unbound KILL
	start_dns_py mad say "$UNBOUND" NXDOMAIN "$@"
}

# sound: it comes back.
sound() {
	stop_dns mad
	start_unbound -a "$UNBOUND"
}

# results: how many records of each type, but for r.
results() {
	types | sed 's/r=[0-9]*//' | xargs
}

# count TYPE: records of it.
count() {
	journal type type="$1" | wc -l
}

# has N TYPE: so many.
has() {
	[ "$(count "$2")" -ge "$1" ]
}

@test "DNSBRAKE: the canary does not exist either: nothing bounces, and all say so" {
	start_unbound
	mad
	dconf 'retry-after = 1h'
	to 0 2 'good%.example'
	to 0 0 'none%.example'
	deliver
	equal 'tq=4' "$(results)"
	equal 'good0.example: no such domain (NXDOMAIN); not believed: the canary mta.example: no such domain (NXDOMAIN)' \
		"$(journal dsnDiag type=tq queue=good0.example/v1)"
	equal '4.4.3 (directory server failure)' \
		"$(journal dsnStatus type=tq | sort -u)"
	equal 'the canary mta.example: no such domain (NXDOMAIN)' \
		"$(dns_status)"
	equal 1 "$(log_lines dns-brake 'state=on text="the canary' | wc -l)"
	vqueue list --format csv | csv lastDiag queue=good0.example/v1 |
		grep -q 'not believed: the canary'
	report --format csv queues | csv lastError queue=good0.example/v1 |
		grep -q 'not believed: the canary'
	sound
	deliver --now
	equal 'b=1 d=3 tq=4' "$(results)"
	equal 'a@none0.example' "$(journal rcpt type=b)"
	equal '' "$(dns_status)"
	all_final 4
}

@test "DNSBRAKE: a canary that nobody can answer for" {
	start_dns_py lame say "$(own_address)@5398" SERVFAIL
	start_unbound 'stub-zone:' 'name: "mta.example."' \
		"stub-addr: $(cat "$(scratch)/lame/address")"
	dconf 'retry-after = 1h'
	to 0 0 'none%.example'
	to 0 0 'good%.example'
	deliver
	equal 'd=1 tq=1' "$(results)"
	equal 'the canary mta.example: server failure (SERVFAIL)' \
		"$(dns_status)"
	# Another one, or one of several, or none at all.
	GLOBAL="dns-canary = 'alive.example'" dconf
	deliver --now
	equal 'b=1 d=1 tq=1' "$(results)"
	to 1 1 'none%.example'
	GLOBAL="dns-canary = {host-name, 'alive.example'}" dconf
	deliver
	equal 2 "$(count b)"
	to 2 2 'none%.example'
	GLOBAL="dns-canary = ''" dconf
	deliver
	equal 3 "$(count b)"
	to 3 3 'none%.example'
	GLOBAL="dns-canary = {'alive.example', 'missing.example'}" dconf \
		'retry-after = 1h'
	deliver
	equal 3 "$(count b)"
	equal 'the canary missing.example: no such domain (NXDOMAIN)' "$(dns_status)"
}

@test "DNSBRAKE: a few domains that do not exist bounce" {
	start_unbound
	dconf
	to 0 1 'none%.example'
	to 0 0 'good%.example'
	deliver
	equal 'b=2 d=1' "$(results)"
	to 2 25 'none%.example'
	to 1 70 'good%.example'
	deliver
	equal 'b=26 d=71' "$(results)"
	equal '' "$(dns_status)"
	equal '' "$(log_lines dns-brake)"
	all_final 97
}

@test "DNSBRAKE: more than 30 per cent do not exist: nothing bounces" {
	start_unbound 'local-zone: "bad.example." always_nxdomain'
	dconf 'retry-after = 1h'
	to 0 39 'd%.bad.example'
	to 0 59 'good%.example'
	deliver
	equal 'd=60 tq=40' "$(results)"
	equal '40 of the last 100 domains do not exist' "$(dns_status)"
	log_lines dns-brake 'state=on text="40 of the last 100'
	journal dsnDiag type=tq | grep -q \
		'bad.example: no such domain (NXDOMAIN); not believed: 40 of'
	# They are there again.
	stop_dns unbound
	start_unbound -a "$UNBOUND"
	deliver --now
	all_final 100
	equal '' "$(dns_status)"
}

@test "DNSBRAKE: what the last runs saw counts" {
	start_unbound 'local-zone: "bad.example." always_nxdomain'
	dconf 'retry-after = 1h'
	to 0 24 'good%.example'
	deliver
	to 25 29 'good%.example'
	to 0 14 'd%.bad.example'
	deliver # by itself it would be 15 of 20: few
	equal 'd=30 tq=15' "$(results)"
	equal '15 of the last 45 domains do not exist' "$(dns_status)"
	# A file that cannot be read is told, and forgotten.
	echo nonsense >"$P/spool/state/brake"
	equal '' "$(dns_status)"
	deliver --now
	equal 1 "$(log_lines dns-state 'state/brake is not used' | wc -l)"
	equal 15 "$(count b)" # 15 of 15: few
}

# bats test_tags=slow
@test "DNSBRAKE: in a run it goes on and off, and delivery goes on" {
	start_unbound
	dconf 'retry-after = 1s'
	local run
	start runq "$P/bin/vmta-runq" --linger 60s
	run=$STARTED
	to 0 9 'good%.example'
	wait_until has 10 d
	mad 600
	to 10 49 'good%.example'
	wait_until has 40 tq
	wait_until report_says 'the canary mta.example'
	equal '' "$(journal type type=b)"
	sound
	# libunbound remembers the NXDOMAIN for its time, which the second look
	# finds out
	wait_until log_has dns-brake state=off
	wait_until report_says '^$'
	to 50 59 'good%.example'
	wait_until has 20 d
	wait_until log_has queue-deferred 'asked again, DNS says that it exists'
	end "$run"
	equal '' "$(journal type type=b)"
	deliver --now
	equal 60 "$(count d)"
	all_final 60
}

report_says() {
	dns_status | grep -q "$1"
}

log_has() {
	[ -n "$(log_lines "$@")" ]
}

# bats test_tags=slow
@test "DNSBRAKE: a bouncer that has begun stops" {
	start_unbound 'local-zone: "bad.example." always_nxdomain'
	dconf 'retry-after = 1h'
	awk 'BEGIN {
		for (i = 0; i < 100000; i++)
			printf "MAIL FROM:<s@sender.example>\nRCPT TO:<r%d@none.example>\nDATA\nSubject: x\n\n.\n", i
	}' | inject --bsmtp >/dev/null
	start runq "$P/bin/vmta-runq" --linger 60s
	wait_until some_bounced
	kill -s STOP "$STARTED"
	to 0 49 'd%.bad.example'
	kill -s CONT "$STARTED"
	wait_until has 51 tq # those, and the one that was being bounced
	end "$STARTED"
	local n
	n=$(count b)
	((n > 0 && n < 100000)) || fail "$n bounced"
	equal "$((100050 - n))" "$(vqueue count)"
	equal "$n" "$(journal rcpt type=b | sort -u | wc -l)"
}

some_bounced() {
	grep -qs '^b,' "$P"/spool/acct/*.live
}

# bats test_tags=slow
@test "P40: questions that hang hold up nothing whose answer is known" {
	local run
	start_dns_py gate gate "$(own_address)@5397" "$NSD" h 1 "$P/closed"
	DNS_BEHIND=$(cat "$(scratch)/gate/address")
	start_unbound 'qname-minimisation: no'
	dconf 'retry-after = 1h'
	start runq "$P/bin/vmta-runq" --linger 60s
	run=$STARTED
	to 0 0 'good%.example'
	wait_until sink_has 1
	kill -s STOP "$run"
	to 0 699 'h%.example'
	send --at +4s a@good0.example # then they stand in line
	kill -s CONT "$run"
	wait_until sink_has 2
	# while all of them hang
	equal '' "$(log_lines queue-deferred)"
	end "$run" KILL
}
