# vmta-runq: mail leaves once, is accounted for once, and nothing is left.

load helper/common
load helper/runq
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
}

teardown() {
	end_test
}

@test "one message, one recipient: it arrives, the spool is empty" {
	start_sink -s
	rconf1
	send --job j1 --envid e1 b@rcpt.example
	waiting 1
	deliver
	equal 1 "$(sink_count messages)"
	equal 1 "$(sink_count connections)"
	equal "127.0.0.1	v1.example	s@sender.example	b@rcpt.example" \
		"$(sink_log msg | field src ehlo from rcpt |
			sed 's/[<>]//g; s/ SIZE=[^\t]*//')"
	sink_strict
	all_final 1
	equal "r=1 d=1" "$(types | tr ' ' '\n' | sort -r | xargs)"
	equal "d	b@rcpt.example	127.0.0.1	2.0.0 (success)	v1	j1	e1	rcpt.example/v1" \
		"$(accounting type rcpt dlvSourceIp dsnStatus vmta jobId \
			envId queue type=d)"
	logged delivered b@rcpt.example
	grep -q '^Subject: test' "$SINK_DIR"/store/*1.eml
	# And never again.
	deliver --now
	equal 1 "$(sink_count messages)"
}

@test "an empty spool: exit 0, silent, nothing made" {
	start_sink
	rconf1
	run --separate-stderr deliver
	equal 0 "$status"
	equal '' "$output$stderr"
	equal 0 "$(sink_count connections)"
}

@test "recipients in three domains: a transaction each, one id" {
	start_sink
	rconf1
	send a@one.example b@one.example c@two.example d@three.example
	deliver
	equal 3 "$(sink_count messages)"
	equal 4 "$(sink_count recipients)"
	all_final 4
	equal 1 "$(journal msgId type=d | sort -u | wc -l)"
	equal "0 1 2 3" "$(journal rcptIndex type=d | sort -n | xargs)"
	# No connection without a message.
	[ "$(sink_count connections)" -le 3 ]
}

@test "one connection for three domains with the same hosts" {
	start_sink
	rconf1 'max-smtp-out = 1'
	send a@one.example c@two.example d@three.example
	deliver
	equal 3 "$(sink_count messages)"
	equal 1 "$(sink_count connections)"
	all_final 3
}

@test "1,000 messages over 50 VirtualMTAs: each from its own address" {
	start_sink --log-header X-Seq
	for i in $(seq 50); do
		echo "virtual-mta v$i {"
		echo "smtp-source-host = '127.9.$i.7 host$i.v.example' }"
	done | rconf
	for i in $(seq 50); do
		send_many $((i * 20 - 19)) $((i * 20)) "d$i.example" \
			e.example -- --vmta "v$i"
	done
	waiting 1000
	deliver
	equal 1000 "$(sink_count messages)"
	# VirtualMTA vN has numbers 20N-19 to 20N, 127.9.N.7 and hostN.
	sink_log msg | field X-Seq src ehlo | awk -F '\t' '
		{
			n = int(($1 + 19) / 20)
			if ($2 != "127.9." n ".7" || $3 != "host" n ".v.example" ||
			    seen[$1]++)
				bad = bad "\n" $0
		}
		END { if (NR != 1000 || bad != "") { print NR bad; exit 1 } }'
	sink_strict
	all_final 1000
	# The records say the same.
	journal vmta dlvSourceIp type=d | awk -F '\t' '
		$2 != "127.9." substr($1, 2) ".7" { print; bad = 1 }
		END { exit bad }'
}

@test "--vmta and --domain: only these" {
	start_sink
	rconf <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.2 v2.example' }
	END
	for v in v1 v2; do
		send --vmta $v a@one.example b@two.example
	done
	deliver --vmta v2 --domain TWO.example
	equal "b@two.example 127.0.0.2" \
		"$(sink_log msg | field rcpt src | tr -d '<>' | xargs)"
	waiting 3
	deliver --vmta v1
	equal 3 "$(sink_count messages)"
	equal one.example/v2 "$(vqueue list --format csv | csv queue)"
	deliver
	all_final 4
}

@test "priority: what is urgent leaves first" {
	start_sink --log-header X-Seq
	rconf1 'max-smtp-out = 1'
	send_many 1 20 one.example -- --priority 10
	send_many 21 40 one.example -- --priority 90
	send_many 41 60 one.example
	deliver
	equal "$(printf '%s\n' 3 1 2)" "$(sink_log msg | field X-Seq |
		awk '{ print int(($1 - 1) / 20) == 1 ? 3 : \
			int(($1 - 1) / 20) == 2 ? 1 : 2 }' | uniq)"
	all_final 60
}

@test "--dry-run says what would be tried, and changes nothing" {
	start_sink
	rconf1
	send a@one.example b@one.example
	send c@two.example
	vqueue pause --domain two.example
	find "$P/spool" -type f -printf '%p %s %T@\n' | sort >"$P/before"
	runq --dry-run >"$P/out"
	find "$P/spool" -type f -printf '%p %s %T@\n' | sort | diff "$P/before" -
	equal 0 "$(sink_count connections)"
	equal "one.example/v1 2 1 -" "$(grep one "$P/out" | cut -f 1,2,3,5 | xargs)"
	equal "two.example/v1 1 1 paused" \
		"$(grep two "$P/out" | cut -f 1,2,3,5 | xargs)"
	grep -Eq $'\t20[0-9-]+ [0-9:]+\\+0000\t' "$P/out"
	equal 1 "$(runq --dry-run --domain one.example | wc -l)"
}

@test "--dry-run shows a queue that waits for its clock" {
	start_sink --reply 'greeting 421 4.3.2 Not now'
	rconf1 'retry-after = 5h'
	send a@one.example
	deliver
	equal "one.example/v1 1 retry" \
		"$(runq --dry-run | cut -f 1,2,5 | xargs)"
	due=$(runq --dry-run | cut -f 4)
	[[ $(date -d "$due" +%s) -gt $(date -d '+4 hours' +%s) ]]
	equal "one.example/v1 1 -" \
		"$(runq --dry-run --now | cut -f 1,2,5 | xargs)"
}

@test "--trace: one message, its session on standard error" {
	start_sink
	rconf1
	send_many 1 3 one.example
	run --separate-stderr deliver --trace one.example/v1
	equal 0 "$status"
	equal '' "$output"
	for word in '220 ' 'EHLO v1.example' 'MAIL FROM:<s@sender.example>' \
		'RCPT TO:<r' 'QUIT'; do
		[[ $stderr == *"$word"* ]] || fail "no $word in $stderr"
	done
	equal 1 "$(sink_count messages)"
	equal 1 "$(sink_count connections)"
	waiting 2
	run deliver --trace one.example
	equal 1 "$status"
	[[ $output == *"exit 64"* ]]
}

@test "--trace: retry times do not count" {
	start_sink --reply 'rcpt first=1 451 4.7.1 Later'
	rconf1 'retry-after = 5h'
	send a@one.example
	deliver
	waiting 1
	deliver --trace one.example/v1 2>/dev/null
	all_final 1
}

@test "log-commands and log-connections" {
	start_sink
	rconf1 'log-commands = yes' 'log-connections = yes'
	send a@one.example
	deliver
	logged session-ready one.example/v1
	logged session-end
	logged smtp 'EHLO v1.example'
	logged smtp 'RCPT TO:<a@one.example>'
	logged smtp '250'
	refute logged smtp hello # the content is log-data's
	equal 0 "$(grep -c -v 'session\|[a-z-]* ' "$P/log/vmta.log")"
	equal 1 "$(logged run-end 'delivered=1' | wc -l)"
}

@test "log-data and log-resolution" {
	start_sink
	rconf1 'log-commands = yes' 'log-data = yes' 'log-resolution = yes'
	send a@one.example
	deliver
	logged smtp hello
	logged resolved queue=one.example/v1
}

@test "without them the log has neither commands nor connections" {
	start_sink
	rconf1
	send a@one.example
	deliver
	refute logged smtp
	refute logged session-ready
}

@test "three workers share the VirtualMTAs" {
	start_sink
	for i in $(seq 12); do
		echo "virtual-mta v$i {"
		echo "smtp-source-host = '127.9.$i.7 host$i.v.example' }"
	done | rconf
	for i in $(seq 12); do
		send_many 1 10 one.example two.example -- --vmta "v$i"
	done
	deliver --workers 3
	equal 120 "$(sink_count messages)"
	all_final 120
	equal 12 "$(sink_sources | wc -l)"
	# Several of them had something to do, each with a segment of its own.
	[ "$(find "$P/spool/acct" -name '*.csv' -size +1k | wc -l)" -ge 2 ]
}

@test "a VirtualMTA that left the configuration: its mail waits" {
	start_sink
	rconf <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta old { smtp-source-host = '127.0.0.2 old.example' }
	END
	send --vmta old a@one.example
	send b@one.example
	rconf1
	deliver
	equal b@one.example "$(sink_log msg | field rcpt | tr -d '<>')"
	logged no-virtual-mta vmta=old
	equal "one.example/old a@one.example no-virtual-mta" \
		"$(vqueue list --format csv | csv queue rcpt reason | xargs)"
	deliver --now
	waiting 1
	# And when it is back, the mail leaves, from its address.
	rconf <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta old { smtp-source-host = '127.0.0.2 old.example' }
	END
	deliver
	equal 1 "$(sink_source 127.0.0.2 messages)"
	all_final 2
}

@test "wrong usage is 64, a wrong configuration 78, before anything is sent" {
	start_sink
	rconf1
	send a@one.example
	for args in '--linger soon' '--workers 0' '--workers x' '--vmta none' \
		'--trace one.example' '--domain' '--bogus' operand; do
		# shellcheck disable=SC2086
		run runq $args
		equal 64 "$status" "runq $args"
	done
	run runq -C "$P/etc/none"
	equal 78 "$status"
	rm -f "$P"/spool/state/config.img
	echo 'bogus = 1' >>"$P/etc/vmta.conf"
	run runq
	equal 78 "$status"
	[[ $output == *"$P/etc/vmta.conf:"*bogus* ]]
	equal 0 "$(sink_count connections)"
}
