# vmta-runq: answers of DNS that outlive a run (state/dns).

load helper/common
load helper/runq
load helper/dns

zone() {
	local i
	for ((i = 0; i < 2000; i++)); do
		echo "c$i.example. MX 10 mx$((i % 500)).example."
	done
	for ((i = 0; i < 500; i++)); do
		echo "mx$i.example. A 127.0.0.1"
	done
	echo "short.example. 1 MX 10 mx1.example."
	echo "implicit.example. A 127.0.0.1"
}

setup_file() {
	need_dns
	start_nsd < <(zone)
	start_unbound
	export NSD UNBOUND UNBOUND_LOG
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

# to FIRST LAST [INJECT OPTION...]: a message to each of c0, c1 ...
to() {
	local i first=$1 last=$2
	shift 2
	for ((i = first; i <= last; i++)); do
		printf 'MAIL FROM:<s@sender.example>\nRCPT TO:<a@c%s.example>\n' "$i"
		printf 'DATA\nSubject: x\n\n%s\n.\n' "$i"
	done | inject --bsmtp "$@" >/dev/null
}

# asked COMMAND...: the questions that unbound hears meanwhile.
asked() {
	local before
	before=$(dns_questions)
	"$@" || return 1
	ASKED=$(($(dns_questions) - before))
}

# kept: answers in state/dns.
kept() {
	grep -cE ' (MX|A|AAAA) [0-9T]*Z ' "$P/spool/state/dns"
}

# refreshed: a run that asks N questions for one message to c0.
refreshed() {
	to 0 0
	asked deliver
	equal "$1" "$ASKED" questions
}

# bats test_tags=slow
@test "DNSCACHE: 2,000 domains: the next run asks nothing" {
	dconf
	to 0 1999
	asked deliver
	((ASKED >= 2500)) || fail "$ASKED questions"
	equal 2500 "$(kept)"
	to 0 1999
	local began=$EPOCHREALTIME
	asked deliver
	echo "# $ASKED questions for 2,000 domains again," \
		"$(((${EPOCHREALTIME/./} - ${began/./}) / 1000)) ms" >&3
	equal 0 "$ASKED" questions
	all_final 4000
	"$P/bin/vmta-check" spool
}

@test "DNSCACHE: an answer is kept for its time, and what has no host is, too" {
	dconf
	send a@short.example a@implicit.example
	deliver
	grep -q '^implicit.example MX [0-9T]*Z -$' "$P/spool/state/dns"
	grep -q '^implicit.example A [0-9T]*Z - 127.0.0.1$' \
		"$P/spool/state/dns"
	local until
	until=$(date +%s)
	wait_until passed $((until + 2))
	send a@short.example a@implicit.example
	asked deliver
	equal 1 "$ASKED" questions # for the MX of short.example
	equal 1 "$(grep -c '^short.example' "$P/spool/state/dns" || true)"
	all_final 4
}

passed() {
	(($(date +%s) >= $1))
}

@test "DNSCACHE: other name servers, other answers" {
	local first=$UNBOUND first_log=$UNBOUND_LOG
	dconf
	refreshed 2
	refreshed 0
	start_unbound -n second
	dconf
	refreshed 2
	UNBOUND=$first UNBOUND_LOG=$first_log
	dconf
	refreshed 2
	refreshed 0
}

@test "DNSCACHE: a reload with other name servers asks them" {
	local run
	dconf
	start runq "$P/bin/vmta-runq" --linger 60s
	run=$STARTED
	to 0 0
	wait_until sink_has 1
	start_unbound -n second
	dconf
	kill -s HUP "$run"
	wait_until log_has reloaded
	to 0 0
	wait_until sink_has 2
	equal 2 "$(dns_questions 'c0.example. MX|mx0.example. A')"
	end "$run"
	refreshed 0
}

log_has() {
	[ -n "$(log_lines "$@")" ]
}

@test "DNSCACHE: a file that is damaged, newer or none of vmta's is told once" {
	local dns=$P/spool/state/dns i bad=0
	local damage=('printf x' 'true' 'sed s/127.0.0.1/127.0.0.2/'
		'head -n 2' 'sed s/dns.1/dns.2/' 'head -c 100000 /dev/zero'
		'tail -n 1' 'sed $d')
	dconf
	refreshed 2
	cp "$dns" "$P/good"
	for i in "${damage[@]}"; do
		$i <"$P/good" >"$dns"
		refreshed 2
		bad=$((bad + 1))
		equal $bad "$(log_lines dns-state 'state/dns is not used' |
			wc -l)" "log lines after $i"
	done
	refreshed 0
	# Neither a link nor a directory is followed, or in the way of mail.
	mv "$dns" "$P/elsewhere"
	ln -s "$P/elsewhere" "$dns"
	refreshed 2
	refreshed 0
	rm "$dns"
	mkdir "$dns"
	refreshed 2
	rmdir "$dns"
	refreshed 2
	refreshed 0
	all_final 15
}

@test "DNSCACHE: workers share what they learn" {
	local v
	dconf
	for v in v2 v3 v4; do
		echo "virtual-mta $v { smtp-source-host = '127.0.0.1 $v.example' }"
	done >>"$VMTA_CONFIG"
	to 0 19
	to 20 39 --vmta v2
	to 40 59 --vmta v3
	to 60 79 --vmta v4
	deliver --workers 4
	all_final 80
	equal 160 "$(kept)"
	to 0 79
	asked deliver
	equal 0 "$ASKED" questions
}

@test "DNSCACHE: what one run learnt is added to what others did" {
	dconf
	to 0 9
	deliver
	equal 20 "$(kept)"
	to 10 19
	deliver
	equal 40 "$(kept)"
}
