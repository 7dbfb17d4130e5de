# vmta-runq: the source address. A message never leaves from another one.

load helper/common
load helper/runq

setup() {
	make_prefix
}

teardown() {
	end_test
}

# sources: the addresses of the messages in their order, on one line.
sources() {
	sink_log msg | field src | xargs
}

no_source() {
	vqueue why --format csv | csv reason queue=one.example/v1 |
		grep -q no-source-address
}

@test "two addresses, round robin by connection, across runs" {
	start_sink
	rconf <<-'END'
		virtual-mta v1 {
			smtp-source-host = {'127.0.0.2 two.example',
			    '127.0.0.3 three.example'}
		}
	END
	for i in 1 2 3 4; do
		send "r$i@one.example"
		deliver
	done
	equal 2 "$(sink_source 127.0.0.2 messages)"
	equal 2 "$(sink_source 127.0.0.3 messages)"
	equal 2 "$(sources | tr ' ' '\n' | uniq | head -n 2 | wc -l)"
	equal 4 "$(sources | tr ' ' '\n' | uniq | wc -l)" 'changes of address'
	# Each with its own name.
	equal "$(printf '127.0.0.2\ttwo.example\n127.0.0.3\tthree.example')" \
		"$(sink_log msg | field src ehlo | sort -u)"
}

@test "max-msg-per-connection 1: messages of one run alternate" {
	start_sink
	rconf 'max-msg-per-connection = 1' 'max-smtp-out = 1' <<-'END'
		virtual-mta v1 {
			smtp-source-host = {'127.0.0.2 a.example',
			    '127.0.0.3 b.example', '127.0.0.4 c.example'}
		}
	END
	send_many 1 30 one.example
	deliver
	for a in 2 3 4; do
		equal 10 "$(sink_source 127.0.0.$a messages)" 127.0.0.$a
	done
	all_final 30
}

@test "IPv6: source and target ::1" {
	need_ipv6
	start_sink -l '[::1]:0'
	HOSTS="'$SINK_ADDR'" rconf <<-'END'
		virtual-mta v1 { smtp-source-host = '::1 six.example' }
	END
	send a@one.example 'b@[IPv6:::1]'
	deliver
	equal "::1	six.example" "$(sink_log msg | field src ehlo | sort -u)"
	equal "::1 ::1" "$(journal dlvSourceIp type=d | xargs)"
	equal '[ipv6:::1]/v1' "$(journal queue type=d | grep '\[')"
	sink_strict
	all_final 2
}

@test "CIDR: every address of the network that is here" {
	start_sink
	rconf 'max-msg-per-connection = 1' 'max-smtp-out = 1' <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1/32 v1.example' }
	END
	send_many 1 3 one.example
	deliver
	equal "127.0.0.1	v1.example" \
		"$(sink_log msg | field src ehlo | sort -u)"
	all_final 3
}

@test "only IPv4 addresses: an IPv6 target is passed over" {
	need_ipv6
	start_sink -l '[::1]:0' -l '127.0.0.1:='
	HOSTS="'[::1]:$SINK_PORT;[127.0.0.1]:$SINK_PORT'" rconf1
	send_many 1 5 one.example
	deliver
	equal 127.0.0.1 "$(sink_sources)"
	all_final 5
	refute logged session-failed
	refute logged queue-deferred
}

@test "only IPv6 targets and IPv4 addresses: it waits, nothing leaves" {
	need_ipv6
	start_sink -l '[::1]:0'
	HOSTS="'[::1]:$SINK_PORT'" rconf1
	send a@one.example
	deliver
	equal 0 "$(sink_count connections)"
	waiting 1
	equal 0 "$(journal type type=b | wc -l)"
}

@test "an address that is not on this machine: mail waits, exit 0, a line" {
	start_sink
	rconf 'bounce-after = 0s' 'retry-after = 1s' <<-'END'
		virtual-mta v1 { smtp-source-host = '192.0.2.77 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.2 v2.example' }
	END
	send a@one.example
	send --vmta v2 b@one.example
	deliver
	logged source-missing source=192.0.2.77
	equal b@one.example "$(sink_log msg | field rcpt | tr -d '<>')"
	deliver --now
	equal 1 "$(sink_count connections)"
	waiting 1
	# No attempt, no failure of the domain, no expiry.
	equal 0 "$(vqueue list --format csv | csv attempts)"
	equal '' "$(journal type queue=one.example/v1 | grep -v r || true)"
	[ -z "$(find "$P/spool/state/retry" -type f 2>/dev/null)" ]
	# Beside a run it says why.
	start_daemon
	wait_until no_source
}

@test "one of two addresses is missing: the other carries all" {
	start_sink
	rconf 'max-msg-per-connection = 1' 'max-smtp-out = 2' <<-'END'
		virtual-mta v1 {
			smtp-source-host = {'192.0.2.77 a.example',
			    '127.0.0.3 b.example'}
		}
	END
	send_many 1 10 one.example
	deliver
	equal 127.0.0.3 "$(sink_sources)"
	equal 10 "$(sink_count messages)"
	logged source-missing source=192.0.2.77
	all_final 10
}

@test "no source address configured: nothing leaves by the kernel's choice" {
	start_sink
	rconf <<-'END'
		virtual-mta v1 { host-name = v1.example }
	END
	run send a@one.example
	[ "$status" = 78 ] || {
		run runq
		[ "$status" = 78 ] || equal 0 "$status"
	}
	equal 0 "$(sink_count connections)"
}

@test "the global smtp-source-host serves a VirtualMTA without its own" {
	start_sink
	rconf <<-'END'
		smtp-source-host = '127.0.0.9 global.example'
		virtual-mta v1 { host-name = v1.example }
	END
	send a@one.example
	deliver
	equal "127.0.0.9	global.example" "$(sink_log msg | field src ehlo)"
	all_final 1
}

@test "a greylisting peer: the second attempt is from the same address" {
	start_sink --greylist
	rconf 'retry-after = 5h' 'max-msg-per-connection = 1' <<-'END'
		virtual-mta v1 {
			smtp-source-host = {'127.0.0.2 a.example',
			    '127.0.0.3 b.example', '127.0.0.4 c.example',
			    '127.0.0.5 d.example'}
		}
	END
	for i in $(seq 8); do
		send "r$i@d$i.example"
	done
	deliver
	equal 8 "$(journal type type=t | wc -l)"
	equal 0 "$(sink_count messages)"
	journal rcpt dlvSourceIp type=t | sort >"$P/first"
	[ "$(cut -f 2 "$P/first" | sort -u | wc -l)" = 4 ]
	deliver
	equal 0 "$(sink_count messages)" # nothing is due
	deliver --now
	journal rcpt dlvSourceIp type=d | sort | diff "$P/first" -
	all_final 8
}

@test "greylisting: the same address also by several recipients at once" {
	start_sink --greylist
	rconf 'retry-after = 5h' <<-'END'
		virtual-mta v1 {
			smtp-source-host = {'127.0.0.2 a.example',
			    '127.0.0.3 b.example', '127.0.0.4 c.example',
			    '127.0.0.5 d.example'}
		}
	END
	send_many 1 100 one.example
	deliver
	journal rcpt dlvSourceIp type=t | sort >"$P/first"
	equal 100 "$(wc -l <"$P/first")"
	deliver --now
	journal rcpt dlvSourceIp type=d | sort | diff "$P/first" -
	all_final 100
}
