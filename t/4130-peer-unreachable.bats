# vmta-runq and hosts that cannot be reached: by their own fault, by this
# machine's, or both. What is this machine's fault costs a domain nothing and
# bounces nothing. P39 of the list of bad peers.

load helper/common
load helper/runq

setup() {
	need_netns
	make_prefix
	ns_make out
	ns_make peer
	ns_link out peer
	ns_addr out 198.51.100.1/24 to-peer
	ns_addr out 2001:db8::1/64 to-peer
	for i in 100 101; do
		ns_addr peer 198.51.100.$i/24 to-out
	done
	ns_addr peer 2001:db8::100/64 to-out
	NS=peer start_sink -l 198.51.100.100:2525 -l 198.51.100.100:2526
}

teardown() {
	end_test
}

# hosts HOST... -- [SETTING...]: mail for good.example goes to the sink, other
# mail to these hosts. VMTA6: v1's addresses beside the IPv4 one; AGE: bounce-after.
hosts() {
	local list=
	while [ "$1" != -- ]; do
		list+="${list:+;}$1"
		shift
	done
	HOSTS="'$list'" rconf 'retry-after = 5h' \
		"bounce-after = ${AGE:-0s}" "${@:2}" <<-END
		virtual-mta v1 {
			smtp-source-host = {'198.51.100.1 v1.example'
			    ${VMTA6-, '2001:db8::1 v1.example'}}
		}
		domain 'good.example' {
			smtp-hosts = {'[198.51.100.100]:2526'}
			max-smtp-out = 1
		}
	END
}

ns_deliver() {
	ns_run out timeout 300 "$P/bin/vmta-runq" "$@" && settled
}

# Nothing was charged: no record, no attempt, no clock; the others had theirs.
untouched() {
	equal '' "$(journal type | grep -v -x -e r -e d || true)" records
	equal 0 "$(vqueue list --format csv | csv attempts | sort -u)"
	[ -z "$(find "$P/spool/state/retry" -type f 2>/dev/null)" ]
	equal g@good.example "$(journal rcpt type=d)"
}

clock() {
	sed -n "s/^$1: //p" "$P/spool/state/retry/v1/bad.example"
}

@test "P39: IPv6 without a route, then a host that works: no failure" {
	hosts '[2001:db8:1::1]:2525' '[198.51.100.100]:2525' --
	send r1@bad.example g@good.example
	ns_deliver
	equal "d=2 r=2" "$(types)"
	[ ! -e "$P/spool/state/retry/v1/bad.example" ]
	all_final 2
}

@test "P39: all refuse, and IPv6 has no route: the clock, by what they said" {
	local n=0 list
	for list in '[198.51.100.101]:2525 [2001:db8:1::1]:2525' \
		'[2001:db8:1::1]:2525 [198.51.100.101]:2525' \
		'[198.51.100.101]:2525 [2001:db8::100]:2525'; do
		rm -rf "$P"/spool/* "$P"/log/*
		# shellcheck disable=SC2086
		AGE=4d hosts $list --
		send r1@bad.example g@good.example
		ns_deliver
		equal "d=1 r=2 tq=1" "$(types)" "$list"
		[[ $(journal dsnStatus type=tq) == 4.4.1* ]]
		[[ $(journal dsnDiag type=tq) == *refused* ]]
		equal 1 "$(clock step)"
		equal 0 "$(vqueue list --format csv | csv attempts)"
		# It is not due: nobody is asked again.
		ns_deliver
		equal 1 "$(journal type type=tq | wc -l)"
		hosts '[198.51.100.100]:2525' --
		ns_deliver --now
		all_final 2
	done
}

@test "P39: a host of a family that we have no address for changes nothing" {
	VMTA6='' AGE=4d hosts '[198.51.100.101]:2525' '[2001:db8::100]:2525' --
	send r1@bad.example g@good.example
	ns_deliver
	equal "d=1 r=2 tq=1" "$(types)"
	equal 1 "$(clock step)"
	[[ $(clock error) == *refused* ]]
	waiting 1
}

# ENETUNREACH; EADDRNOTAVAIL; EACCES by a rule of this machine.
@test "P39: no host can be reached from here: nothing is charged, it waits" {
	local fault
	for fault in route source rule; do
		rm -rf "$P"/spool/* "$P"/log/*
		case $fault in
		route) hosts '[2001:db8:1::1]:2525' '[203.0.113.1]:2525' -- ;;
		source)
			hosts '[198.51.100.100]:2525' --
			sed -i "s/198.51.100.1 v1/192.0.2.1 v1/" "$VMTA_CONFIG"
			sed -i "s/^domain 'good/virtual-mta v2 { smtp-source-host = '198.51.100.1 v2.example' }\n&/" \
				"$VMTA_CONFIG"
			;;
		rule)
			hosts '[198.51.100.101]:2525' --
			ip -n "$(ns_name out)" route add prohibit \
				198.51.100.101
			;;
		esac
		send r1@bad.example
		if [ $fault = source ]; then
			send --vmta v2 g@good.example
		else
			send g@good.example
		fi
		ns_deliver
		untouched
		ns_deliver --now
		untouched
		waiting 1
		# And when the machine is in order, it leaves.
		hosts '[198.51.100.100]:2525' --
		ns_deliver --now
		all_final 2
	done
}

@test "P39: two ports for fifty messages: no fault of the domain's" {
	ns_run out sysctl -qw 'net.ipv4.ip_local_port_range=50000 50001'
	stop_sink
	NS=peer start_sink -l 198.51.100.100:2525 -l 198.51.100.100:2526 \
		--delay 'bdat 20'
	hosts '[198.51.100.100]:2525' -- 'max-smtp-out = 20'
	send_many 1 50 bad.example
	send g@good.example
	ns_deliver
	equal "d=51 r=51" "$(types)"
	[ ! -e "$P/spool/state/retry/v1/bad.example" ]
	[ "$(sink_count max-concurrent)" -le 4 ]
	logged session-failed 'Cannot assign requested address'
	all_final 51
}

# The one port is taken, for this peer; the next host has one for us.
@test "P39: no free port: the next address; none at all: it waits" {
	ns_run out sysctl -qw 'net.ipv4.ip_local_port_range=50000 50000'
	start holder ip netns exec "$(ns_name out)" /usr/bin/python3 -c '
import socket, time
s = socket.socket()
s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
s.bind(("198.51.100.1", 0))
s.connect(("198.51.100.100", 2525))
print(s.recv(100), flush=True)
time.sleep(600)'
	wait_until grep -q 220 "$(scratch)/holder.out"
	hosts '[198.51.100.100]:2525' --
	send r1@bad.example g@good.example
	ns_deliver
	untouched
	waiting 1
	hosts '[198.51.100.100]:2525' '[198.51.100.100]:2526' --
	send r2@bad.example
	ns_deliver --now
	all_final 3
	equal 198.51.100.100:2526 "$(sink_log msg | field local | sort -u)"
}
