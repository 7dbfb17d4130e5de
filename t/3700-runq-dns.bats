# vmta-runq and real DNS: what each kind of answer becomes. nsd has the zone,
# unbound is in front of it, and vmta asks unbound.

load helper/common
load helper/runq
load helper/dns

# The zone of this file; addresses are loopback, which dconf allows.
zone() {
	local i label63
	label63=$(printf 'a%.0s' {1..63})
	cat <<-'END'
		one.example.		MX 10 mx.example.
		mx.example.		A 127.0.0.1
		implicit.example.	A 127.0.0.1
		order.example.		MX 30 third.example.
		order.example.		MX 10 first.example.
		order.example.		MX 20 second.example.
		first.example.		A 127.0.0.2
		second.example.		A 127.0.0.1
		third.example.		A 127.0.0.3
		null.example.		MX 0 .
		mixed.example.		MX 0 .
		mixed.example.		MX 10 mx.example.
		nodata.example.		TXT "no mail here"
		nohost.example.		MX 10 none.example.
		halfhost.example.	MX 10 none.example.
		halfhost.example.	MX 20 mx.example.
		cname.example.		CNAME one.example.
		chain1.example.		CNAME chain2.example.
		chain2.example.		CNAME chain3.example.
		chain3.example.		CNAME chain4.example.
		chain4.example.		CNAME one.example.
		mxalias.example.	MX 10 alias.example.
		alias.example.		CNAME mx.example.
		loop1.example.		CNAME loop2.example.
		loop2.example.		CNAME loop1.example.
		mxloop.example.		MX 10 loop1.example.
		dangling.example.	CNAME none.example.
		zero.example.		0 MX 10 mxzero.example.
		mxzero.example.		0 A 127.0.0.1
		nul.example.		MX 10 a\000b.example.
		nul.example.		MX 20 mx.example.
		nulonly.example.	MX 10 a\000b.example.
		dot.example.		MX 10 a\.b.example.
		literal.example.	MX 10 127.0.0.1.
		six.example.		MX 10 mx6.example.
		mx6.example.		AAAA ::1
		private.example.	MX 10 mxprivate.example.
		mxprivate.example.	A 10.1.2.3
		mapped.example.		MX 10 mxmapped.example.
		mxmapped.example.	AAAA ::ffff:127.0.0.1
		zeroes.example.		MX 10 mxzeroes.example.
		mxzeroes.example.	A 0.0.0.0
		some.example.		MX 10 mxprivate.example.
		some.example.		MX 20 mx.example.
		own.example.		MX 10 mxown.example.
		mxown.example.		A 20.0.0.1
	END
	echo "$label63.example. MX 10 mx.example."
	for ((i = 1; i <= 1000; i++)); do
		echo "big.example. MX $i m$i.example."
		echo "m$i.example. A 127.0.0.$((i % 100 + 1))"
	done
}

setup_file() {
	need_dns
	start_nsd < <(zone)
	start_dns_py silent silent "$(own_address)@5399"
	start_dns_py lame say "$(own_address)@5398" REFUSED
	start_unbound \
		'local-zone: "refused.example." always_refuse' \
		'stub-zone:' 'name: "lame.example."' \
		"stub-addr: $(cat "$BATS_FILE_TMPDIR/lame/address")"
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

# became DOMAIN: type and status of the last record about it.
became() {
	journal type dsnStatus dsnDiag queue="$1/v1" | grep -v ^r | tail -n 1
}

# is DOMAIN TYPE STATUS TEXT: it became that (TEXT is a pattern).
is() {
	local found
	found=$(became "$1")
	[[ $found == "$2	$3"*"	"*$4* ]] ||
		fail "$1: expected $2 $3 $4, found $found"
}

# delivered DOMAIN HOST ADDRESS
delivered() {
	equal "$2 ($3)" "$(journal dsnMta type=d queue="$1/v1")" "$1"
}

# to DOMAIN...: a message to each.
to() {
	local d
	for d; do
		send "a@$d"
	done
}

@test "P40: NXDOMAIN and null MX bounce at once, other faults are tried again" {
	dconf 'retry-after = 1h'
	to none.example null.example nodata.example nohost.example \
		refused.example lame.example loop1.example mxloop.example \
		dangling.example
	deliver
	is none.example b 5.1.2 'none.example: no such domain (NXDOMAIN)'
	is null.example b 5.1.10 'does not accept mail (null MX)'
	is dangling.example b 5.1.2 NXDOMAIN
	is nodata.example tq 5.4.4 'no MX record and no IPv4 address'
	is nohost.example tq 5.4.4 'no host has an IPv4 address'
	is refused.example tq 4.4.3 SERVFAIL
	is lame.example tq 4.4.3 SERVFAIL
	is loop1.example tq 4.4.3 SERVFAIL
	is mxloop.example tq 4.4.3 'A of loop1.example: server failure'
	waiting 6
	equal 0 "$(sink_count connections)"
}

@test "P40: bounce-upon-no-mx bounces what has no host, not what could not be asked" {
	dconf 'retry-after = 1h' 'bounce-upon-no-mx = yes'
	to nodata.example nohost.example nulonly.example lame.example
	deliver
	is nodata.example b 5.4.4 'no MX record'
	is nohost.example b 5.4.4 'no host'
	is nulonly.example b 5.4.4 'its MX records name no host'
	is lame.example tq 4.4.3 SERVFAIL
	waiting 1
}

@test "P40: null MX among others is passed over (RFC 7505 3 forbids the mixture)" {
	dconf
	to mixed.example
	deliver
	delivered mixed.example mx.example 127.0.0.1
	all_final 1
}

@test "P40: MX, none but an address, aliases and chains of them: delivered" {
	dconf
	to one.example implicit.example cname.example chain1.example \
		mxalias.example halfhost.example zero.example \
		"$(printf 'a%.0s' {1..63}).example"
	deliver
	delivered one.example mx.example 127.0.0.1
	delivered implicit.example implicit.example 127.0.0.1
	delivered cname.example mx.example 127.0.0.1
	delivered mxalias.example alias.example 127.0.0.1
	delivered halfhost.example mx.example 127.0.0.1
	delivered zero.example mxzero.example 127.0.0.1
	all_final 8
	# none of these names is kept without a time to live
	refute grep zero "$P/spool/state/dns"
	grep -q '^one.example MX 20[0-9]*T[0-9]*Z - 10/mx.example$' \
		"$P/spool/state/dns"
}

@test "P40: hosts are tried in the order of preference" {
	stop_sink
	start_sink -n three -l 127.0.0.1:0 -l 127.0.0.2:= -l 127.0.0.3:= \
		--reply 'greeting first=2 421 4.3.2 Busy'
	dconf
	to order.example
	deliver
	equal "127.0.0.2:$SINK_PORT 127.0.0.1:$SINK_PORT 127.0.0.3:$SINK_PORT" \
		"$(sink_log connect three | field local | xargs)"
	delivered order.example third.example 127.0.0.3
	all_final 1
}

@test "P40: 1,000 MX come by TCP, and the best 50 are used" {
	equal 'NOERROR truncated' "$(dns_ask "$UNBOUND" big.example 15)"
	start_sink -n best -l "127.0.0.51:$SINK_PORT" # of m50, the 50th
	dconf 'retry-after = 1h'
	to big.example
	deliver
	delivered big.example m50.example 127.0.0.51
	equal 50 "$(dns_questions 'm[0-9]+\.example\. A IN')"
	equal 0 "$(sink_count connections)" # m100 has its address
	stop_sink best
	to big.example
	deliver --now
	equal 50 "$(dns_questions 'm[0-9]+\.example\. A IN')"
	equal 0 "$(sink_count connections)"
	waiting 1
}

# bats test_tags=slow
@test "P40: two of three name servers dead" {
	local dead=127.0.0.1@9 silent
	silent=$(cat "$BATS_FILE_TMPDIR/silent/address")
	SERVERS="'$dead', '$silent', '$UNBOUND'" dconf
	to one.example none.example
	deliver
	is none.example b 5.1.2 NXDOMAIN
	delivered one.example mx.example 127.0.0.1
	all_final 2
}

# bats test_tags=slow
@test "P40: a name server that says nothing: temporary, and soon enough" {
	SERVERS="'$(cat "$BATS_FILE_TMPDIR/silent/address")'" dconf \
		'retry-after = 1h'
	to one.example none.example
	SECONDS=0
	deliver
	((SECONDS <= 120)) || fail "$SECONDS s"
	is one.example tq 4.4.3 'one.example'
	is none.example tq 4.4.3 'none.example'
	waiting 2
}

@test "P40: mail for ::1" {
	need_ipv6
	start_sink -n six -l '[::1]:0'
	ALLOW="'::1/128'" SOURCE="'::1 v1.example'" dconf
	to six.example
	deliver
	delivered six.example mx6.example ::1
	all_final 1
}

@test "V16: loopback, private and unspecified addresses of DNS are refused" {
	ALLOW='' SOURCE="'127.0.0.1 v1.example', '::1 v1.example'" dconf \
		'retry-after = 1h'
	to one.example implicit.example private.example mapped.example \
		zeroes.example six.example
	deliver
	is one.example tq 5.4.4 'mx.example has the loopback address 127.0.0.1'
	is implicit.example tq 5.4.4 'loopback address 127.0.0.1'
	is private.example tq 5.4.4 'private address 10.1.2.3'
	is mapped.example tq 5.4.4 'IPv4-mapped address'
	is zeroes.example tq 5.4.4 'unspecified address 0.0.0.0'
	is six.example tq 5.4.4 'loopback address ::1'
	waiting 6
	equal 0 "$(sink_count connections)"
	# The answers are kept; the judgement is not.
	dconf
	deliver --now
	delivered one.example mx.example 127.0.0.1
	ALLOW='' dconf
	to one.example
	deliver
	is one.example tq 5.4.4 'loopback address 127.0.0.1'
}

@test "V16: a host that is refused leaves the others" {
	dconf
	to some.example
	deliver
	delivered some.example mx.example 127.0.0.1
}

@test "V16: what smtp-hosts names is exempt, what its look-ups find is not" {
	ALLOW='' dconf "smtp-hosts = {'mx.example'}"
	to any.example
	deliver
	delivered any.example mx.example 127.0.0.1
	ALLOW='' dconf 'retry-after = 1h' \
		"smtp-hosts = {'lookup-mx:one.example'}"
	to any.example
	deliver
	is any.example tq 5.4.4 'loopback address 127.0.0.1'
}

@test "V16: an address literal is an address from outside" {
	ALLOW='' dconf 'retry-after = 1h'
	send 'a@[127.0.0.1]' || skip 'not accepted'
	deliver
	is '[127.0.0.1]' tq 5.4.4 'loopback address 127.0.0.1'
	dconf
	deliver --now
	all_final 1
}

@test "V16: our own address is refused" {
	need_netns
	ns_make one
	ns_addr one 20.0.0.1/32
	NS=one start_sink -n own -l "20.0.0.1:0"
	NS=one start_nsd < <(zone)
	NS=one start_unbound
	ALLOW='' SOURCE="'20.0.0.1 v1.example'" dconf 'retry-after = 1h'
	to own.example
	ns_run one "$P/bin/vmta-runq"
	is own.example tq 5.4.6 'mxown.example has our own address 20.0.0.1'
	ALLOW="'20.0.0.1/32'" SOURCE="'20.0.0.1 v1.example'" dconf
	ns_run one "$P/bin/vmta-runq" --now
	delivered own.example mxown.example 20.0.0.1
}

@test "V16: names with NUL, dots in labels, and addresses for names are no hosts" {
	dconf 'retry-after = 1h'
	to nul.example nulonly.example dot.example literal.example
	deliver
	delivered nul.example mx.example 127.0.0.1
	is nulonly.example tq 5.4.4 'its MX records name no host'
	is dot.example tq 5.4.4 'its MX records name no host'
	is literal.example tq 5.4.4 'its MX records name no host'
	# such answers are not written down
	refute grep -a nul "$P/spool/state/dns"
	# a label of 64 never comes as far as DNS
	run send "a@$(printf 'a%.0s' {1..64}).example"
	[ "$status" != 0 ]
	equal 0 "$(dns_questions 'a{64}')"
}
