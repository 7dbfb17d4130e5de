# vmta-runq: a recipient that was deferred is tried again from the same source
# address, whatever else is going on; another one only when its own is gone,
# cannot get there, or gets no connection while others do.

load helper/common
load helper/runq

setup() {
	make_prefix
}

teardown() {
	end_test
}

FOUR="virtual-mta v1 {
	smtp-source-host = {'127.0.0.11 a.example', '127.0.0.12 b.example',
	    '127.0.0.13 c.example', '127.0.0.14 d.example'}
}"

# four [SETTING...]: the configuration: one VirtualMTA, four addresses.
four() {
	rconf 'retry-after = 5h' "$@" <<<"$FOUR"
}

# same_source: each recipient's records are of one address; prints how many
# were deferred.
same_source() {
	journal rcpt dlvSourceIp type=t | sort -u >"$P/first"
	journal rcpt dlvSourceIp type=d | sort -u >"$P/second"
	join -t "$(printf '\t')" "$P/first" "$P/second" |
		awk -F '\t' '$2 != $3 { print; bad = 1 } END { exit bad }' ||
		fail 'another address'
	equal "$(cut -f 1 "$P/first" | sort -u | wc -l)" "$(wc -l <"$P/first")"
	wc -l <"$P/first"
}

# place RCPT: as which message it came to the sink.
place() {
	sink_log msg | field rcpt | grep -n "<$1>" | cut -d : -f 1
}

# bulk_waits FIRST LAST DOMAIN: a job of so many messages, paused, so that the
# next run has only what else is there.
bulk_waits() {
	send_many "$@" -- --job bulk
	vqueue pause --job bulk
}

# bats test_tags=slow
@test "GREY: three busy connections, no slot: its own address gets one" {
	start_sink --reply 'rcpt:grey* per-rcpt first=1 450 4.2.0 Greylisted' \
		--delay 'dot 6'
	four 'max-smtp-out = 3' 'retry-recipients-after = 2s'
	bulk_waits 1 2000 one.example
	send --priority 60 grey@one.example
	deliver
	equal 1 "$(journal type type=t | wc -l)"
	vqueue resume --job bulk
	deliver # grey is due in the midst of it
	equal 1 "$(same_source)"
	# It did not wait until all of the others were gone.
	[ "$(place grey@one.example)" -lt 2001 ]
	# One connection made room, no more.
	[ "$(sink_count connections)" -le 7 ]
	all_final 2001
}

@test "GREY: connections at rest hold all slots: one makes room at once" {
	start_sink --reply 'rcpt:grey* per-rcpt first=1 450 4.2.0 Greylisted'
	four 'max-smtp-out = 1'
	send grey1@one.example
	deliver
	send grey2@one.example
	deliver
	# They have different addresses; the daemon has one slot.
	equal 2 "$(journal dlvSourceIp type=t | sort -u | wc -l)"
	four 'max-smtp-out = 1' 'connection-idle-timeout = 10m'
	vqueue retry-now --rcpt 'grey*'
	start_daemon
	wait_until sink_has 2
	send_many 1 1 one.example
	wait_until sink_has 3
	end "$RUNQ_PID"
	equal 2 "$(same_source)"
	all_final 3
}

@test "GREY: one slot, four addresses: each has its turn, once" {
	start_sink --greylist
	four 'max-smtp-out = 1' 'max-rcpt-per-transaction = 2'
	for i in $(seq 4); do
		send_many $((i * 10)) $((i * 10 + 9)) one.example
		deliver
	done
	equal 40 "$(journal type type=t | wc -l)"
	equal 4 "$(journal dlvSourceIp type=t | sort -u | wc -l)"
	before=$(sink_count connections)
	deliver --now
	equal 40 "$(same_source)"
	equal 4 $(($(sink_count connections) - before)) connections
	all_final 40
	sink_strict
}

@test "GREY: recipients of one message, deferred at four addresses" {
	start_sink --greylist
	four 'max-smtp-out = 1' 'max-rcpt-per-transaction = 2' \
		'max-msg-per-connection = 1'
	# shellcheck disable=SC2046
	send $(seq -f 'r%g@one.example' 16)
	deliver
	equal 4 "$(journal dlvSourceIp type=t | sort | uniq -c |
		grep -c '^ *4 ')"
	deliver --now
	equal 16 "$(same_source)"
	all_final 16
}

@test "GREY: single messages: as many connections as addresses" {
	start_sink --greylist
	four 'max-smtp-out = 4' 'max-msg-per-connection = 1'
	for i in $(seq 40); do
		send "r$i@one.example"
	done
	deliver
	equal 4 "$(journal dlvSourceIp type=t | sort -u | wc -l)"
	four 'max-smtp-out = 4' 'connection-idle-timeout = 2s'
	before=$(sink_count connections)
	deliver --now
	equal 40 "$(same_source)"
	equal 4 $(($(sink_count connections) - before)) connections
	all_final 40
}

@test "GREY: IPv4 and IPv6: the retry goes to the family of its address" {
	need_ipv6
	start_sink --greylist -l '127.0.0.1:0' -l '[::1]:='
	HOSTS="'[127.0.0.1]:$SINK_PORT'" four 'max-smtp-out = 4' \
		'max-msg-per-connection = 5'
	send_many 1 20 one.example two.example
	deliver
	equal 20 "$(journal type type=t | wc -l)"
	equal 4 "$(journal dlvSourceIp type=t | sort -u | wc -l)"
	before=$(sink_count connections)
	# Now the peer has an IPv6 address too, which is tried first.
	HOSTS="'[::1]:$SINK_PORT,[127.0.0.1]:$SINK_PORT'" \
		rconf 'retry-after = 5h' 'max-smtp-out = 4' <<-'END'
			virtual-mta v1 {
				smtp-source-host = {'::1 six.example',
				    '127.0.0.11 a.example',
				    '127.0.0.12 b.example',
				    '127.0.0.13 c.example',
				    '127.0.0.14 d.example'}
			}
		END
	deliver --now
	equal 20 "$(same_source)"
	all_final 20
	[ $(($(sink_count connections) - before)) -le 16 ]
}

@test "GREY: no target of its family any more: from another address" {
	need_ipv6
	start_sink --greylist -l '127.0.0.1:0' -l '[::1]:='
	HOSTS="'[127.0.0.1]:$SINK_PORT'" four 'max-smtp-out = 1'
	send_many 1 5 one.example
	deliver
	HOSTS="'[::1]:$SINK_PORT'" \
		rconf 'retry-after = 5h' 'max-smtp-out = 1' <<-'END'
		virtual-mta v1 {
			smtp-source-host = {'::1 six.example',
			    '127.0.0.11 a.example', '127.0.0.12 b.example',
			    '127.0.0.13 c.example', '127.0.0.14 d.example'}
		}
	END
	deliver --now
	all_final 5
	equal ::1 "$(journal dlvSourceIp type=d | sort -u)"
	equal 2 "$(sink_count connections)"
}

@test "GREY: its address left the configuration: from another one, at once" {
	start_sink --greylist
	four 'max-smtp-out = 1'
	send_many 1 5 one.example
	deliver
	gone=$(journal dlvSourceIp type=t | sort -u)
	rconf 'retry-after = 5h' < <(sed "s/$gone [a-d]/127.0.0.19 e/" <<<"$FOUR")
	deliver --now
	all_final 5
	refute grep -qx "$gone" <(journal dlvSourceIp type=d)
}

@test "GREY: its address left the machine: from another one, at once" {
	need_netns
	ns_make mta
	for a in 1 2 3 4; do
		ns_addr mta 10.9.9.$a/32
	done
	NS=mta start_sink --greylist
	rconf 'retry-after = 5h' 'max-msg-per-connection = 1' <<-'END'
		virtual-mta v1 {
			smtp-source-host = {'10.9.9.1 a.example',
			    '10.9.9.2 b.example', '10.9.9.3 c.example',
			    '10.9.9.4 d.example'}
		}
	END
	for i in $(seq 8); do
		send "r$i@one.example"
	done
	ns_run mta "$P/bin/vmta-runq"
	equal 8 "$(journal type type=t | wc -l)"
	ns_addr_del mta 10.9.9.2/32
	ns_run mta "$P/bin/vmta-runq" --now
	journal rcpt dlvSourceIp type=t | sort >"$P/first"
	journal rcpt dlvSourceIp type=d | sort >"$P/second"
	equal 2 "$(grep -c '10\.9\.9\.2$' "$P/first")"
	refute grep -q '10\.9\.9\.2$' "$P/second"
	diff <(grep -v '10\.9\.9\.2$' "$P/first") <(join -t "$(printf '\t')" \
		"$P/second" <(grep -v '10\.9\.9\.2$' "$P/first" | cut -f 1))
	all_final 8
}

@test "GREY: its address is busy with a long message: it waits for it" {
	start_sink --reply 'rcpt:grey* per-rcpt first=1 450 4.2.0 Greylisted' \
		--delay 'dot from=127.0.0.11 1500'
	rconf 'retry-after = 5h' 'max-smtp-out = 1' <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.11 a.example' }
	END
	send grey@one.example
	deliver
	equal 127.0.0.11 "$(journal dlvSourceIp type=t)"
	four 'max-smtp-out = 4'
	send_many 1 40 one.example
	deliver --now
	equal 1 "$(same_source)"
	all_final 41
}

@test "GREY: its address gets no connection, others do: from another one" {
	start_sink --reply 'rcpt:grey* per-rcpt first=1 450 4.2.0 Greylisted'
	rconf 'retry-after = 5h' <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.11 a.example' }
	END
	send grey@one.example
	deliver
	stop_sink
	start_sink --reply 'greeting:127.0.0.11 554 5.7.1 Listed' --delay 'dot 20'
	four
	send_many 1 20 one.example
	deliver --now
	deliver --now
	all_final 21
	refute grep -qx 127.0.0.11 <(journal dlvSourceIp type=d)
}

# bats test_tags=slow
@test "GREY: two queues of one route, no slot left: the retry has its own" {
	start_sink --reply 'rcpt:grey* per-rcpt first=1 450 4.2.0 Greylisted' \
		--delay 'dot 6'
	four 'max-smtp-out = 3' 'retry-recipients-after = 2s'
	bulk_waits 1 2000 one.example
	send --priority 60 grey@two.example
	deliver
	vqueue resume --job bulk
	deliver
	equal 1 "$(same_source)"
	[ "$(place grey@two.example)" -lt 2001 ]
	[ "$(sink_count connections)" -le 7 ]
	all_final 2001
}
