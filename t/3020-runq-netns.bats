# vmta-runq in a network namespace: source addresses that come and go, counted
# on the wire.

load helper/common
load helper/runq

setup() {
	need_netns
	make_prefix
	ns_make out
	ns_make peer
	ns_link out peer
	for i in 1 2 3; do
		ns_addr out "198.51.100.$i/24" to-peer
	done
	ns_addr peer 198.51.100.100/24 to-out
	ns_count out
	NS=peer start_sink -l 198.51.100.100:2525 --log-header X-Seq "$@"
}

teardown() {
	end_test
}

# Two VirtualMTAs of one address each; $1: more settings.
two() {
	HOSTS="'[198.51.100.100]:2525'" rconf 'retry-after = 1s' \
		'max-msg-per-connection = 1' 'max-smtp-out = 1' "$@" <<-'END'
		virtual-mta v1 { smtp-source-host = '198.51.100.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '198.51.100.2 v2.example' }
	END
}

# deliver inside.
ns_deliver() {
	ns_run out timeout 300 "$P/bin/vmta-runq" "$@" && settled
}

# msgs_from ADDRESS N: has the sink that many, or more?
msgs_from() {
	[ "$(sink_source "$1" messages)" -ge "$2" ]
}

syns_of() {
	ns_syns out | awk -v a="$1" '$1 == a { n = $2 } END { print n + 0 }'
}

@test "one SYN a connection, from the VirtualMTA's address only" {
	two
	send_many 1 20 one.example -- --vmta v1
	send_many 21 40 one.example -- --vmta v2
	ns_deliver
	equal "198.51.100.1 20 198.51.100.2 20" "$(ns_syns out | xargs)"
	all_final 40
}

# bats test_tags=slow
@test "an address goes in mid-run: not one SYN from another, mail waits" {
	# What is on its way when the address goes can only time out.
	two 'smtp-greeting-timeout = 2s' 'command-timeout = 2s' \
		'smtp-data-termination-timeout = 2s' 'connect-timeout = 2s'
	send_many 1 400 one.example -- --vmta v1
	send_many 401 800 one.example -- --vmta v2
	start runq ip netns exec "$(ns_name out)" "$P/bin/vmta-runq"
	wait_until msgs_from 198.51.100.1 20
	ns_addr_del out 198.51.100.1/24 to-peer
	# 198.51.100.1 was the primary one: with it the others may go, too.
	for i in 2 3; do
		ns_addr out "198.51.100.$i/24" to-peer 2>/dev/null || true
	done
	wait_until gone "$STARTED"
	wait "$STARTED"
	settled
	n=$(sink_source 198.51.100.1 messages)
	[ "$n" -lt 400 ] || fail "all had left before the address went"
	equal "198.51.100.1 198.51.100.2" "$(ns_syns out | cut -d ' ' -f 1 | xargs)"
	# One at most was taken by the peer, but its answer was lost.
	left=$(vqueue count --vmta v1)
	[ $((400 - n)) -le "$left" ] && [ "$left" -le $((401 - n)) ]
	logged source-missing source=198.51.100.1
	equal 0 "$(journal type type=b | wc -l)"
	before=$(syns_of 198.51.100.1)
	# Runs without the address try nothing.
	ns_deliver --now
	equal "$before" "$(syns_of 198.51.100.1)"
	ns_addr out 198.51.100.1/24 to-peer
	ns_deliver --now
	all_final 800
	equal 400 "$(sink_log msg | field src X-Seq |
		awk '$1 == "198.51.100.1" && $2 <= 400' | sort -u | wc -l)"
	equal 400 "$(sink_log msg | field src X-Seq |
		awk '$1 == "198.51.100.2" && $2 > 400' | sort -u | wc -l)"
	equal 198.51.100.1,198.51.100.2 "$(sink_sources | paste -sd,)"
}

@test "ip_nonlocal_bind = 1 does not change that" {
	ns_run out sysctl -qw net.ipv4.ip_nonlocal_bind=1
	two
	ns_addr_del out 198.51.100.2/24 to-peer
	send_many 1 10 one.example -- --vmta v1
	send_many 11 20 one.example -- --vmta v2
	ns_deliver
	equal "198.51.100.1 10" "$(ns_syns out)"
	waiting 10
	logged source-missing source=198.51.100.2
	equal 0 "$(vqueue list --format csv | csv attempts | sort -u)"
	ns_addr out 198.51.100.2/24 to-peer
	ns_deliver
	equal "198.51.100.1 10 198.51.100.2 10" "$(ns_syns out | xargs)"
	all_final 20
}

@test "CIDR: the network's addresses that are here, and those that come" {
	HOSTS="'[198.51.100.100]:2525'" rconf 'max-msg-per-connection = 1' \
		'max-smtp-out = 1' <<-'END'
		virtual-mta v1 { smtp-source-host = '198.51.100.0/30 v1.example' }
	END
	ns_addr_del out 198.51.100.3/24 to-peer
	send_many 1 20 one.example
	ns_deliver
	equal "198.51.100.1 10 198.51.100.2 10" "$(ns_syns out | xargs)"
	ns_addr out 198.51.100.3/24 to-peer
	send_many 21 50 one.example
	ns_deliver
	equal "198.51.100.1 20 198.51.100.2 20 198.51.100.3 10" \
		"$(ns_syns out | xargs)"
	all_final 50
}

# bats test_tags=slow
@test "a daemon sends again soon after the address is back" {
	two
	ns_addr_del out 198.51.100.2/24 to-peer
	start runq ip netns exec "$(ns_name out)" "$P/bin/vmta-runq" --daemon
	wait_until owned
	send --vmta v2 a@one.example
	wait_until logged source-missing source=198.51.100.2
	equal '' "$(ns_syns out)"
	ns_addr out 198.51.100.2/24 to-peer
	wait_until msgs_from 198.51.100.2 1
	end "$STARTED"
	all_final 1
}

@test "a peer that does not answer: connect-timeout, then the clock" {
	HOSTS="'[198.51.100.200]:2525;[198.51.100.100]:2525'" rconf \
		'connect-timeout = 1s' <<-'END'
		virtual-mta v1 { smtp-source-host = '198.51.100.1 v1.example' }
	END
	# .200 exists, but drops what comes.
	ns_addr peer 198.51.100.200/24 to-out
	ns_run peer nft -f - <<-'END'
		table inet f {
			chain in {
				type filter hook input priority 0;
				ip daddr 198.51.100.200 drop
			}
		}
	END
	send a@one.example
	ns_deliver
	equal 198.51.100.100:2525 "$(sink_log msg | field local)"
	all_final 1
}

@test "IPv6 and IPv4 addresses: both families are used, each with its own" {
	for i in 1 2; do
		ns_addr out "2001:db8::$i/64" to-peer
	done
	ns_addr peer 2001:db8::100/64 to-out
	NS=peer start_sink -n six -l '[2001:db8::100]:2525'
	HOSTS="'[2001:db8::100]:2525'" rconf 'max-msg-per-connection = 1' \
		'max-smtp-out = 1' <<-'END'
		virtual-mta v1 {
			smtp-source-host = {'198.51.100.1 four.example',
			    '2001:db8::2 six.example'}
		}
		domain 'four.example' {
			smtp-hosts = {'[198.51.100.100]:2525'}
		}
	END
	send_many 1 5 one.example
	send_many 6 10 four.example
	ns_deliver
	equal "198.51.100.1 5 2001:db8::2 5" "$(ns_syns out | xargs)"
	all_final 10
}
