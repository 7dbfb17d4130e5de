# Real name servers: nsd with a zone of the test's own, unbound in front of
# it, and what neither does (dns.py). Fetched by t/helper/peers.sh; nothing is
# installed. All on loopback addresses of their own, port 5353, also without
# root. With NS=name they run in that namespace.
#
#	load helper/common
#	load helper/dns
#	start_nsd <<-'END'
#		one.example. MX 10 mx.example.
#		mx.example. A 127.0.0.1
#	END
#	start_unbound
#
# shellcheck shell=bash disable=SC2034 # the tests use what is set here

need_dns() {
	[ -x "$PEERS/nsd/usr/sbin/nsd" ] && [ -x "$PEERS/unbound/usr/sbin/unbound" ] ||
		skip "needs nsd and unbound unpacked: make peers"
}

# The libraries of a peer's packages.
dns_libs() {
	local dir libs=
	for dir in "$PEERS/$1"/usr/lib/*-linux-gnu "$PEERS/$1"/lib/*-linux-gnu
	do
		[ ! -d "$dir" ] || libs=$libs${libs:+:}$dir
	done
	echo "$libs"
}

# dns_start NAME PEER COMMAND...: start a server in its directory $DNS_DIR.
dns_start() {
	local name=$1 peer=$2 ns=()
	shift 2
	[ -z "${NS:-}" ] || ns=(ip netns exec "$(ns_name "$NS")")
	start "$name/process" "${ns[@]}" \
		env LD_LIBRARY_PATH="$(dns_libs "$peer")" "$@"
	echo "$STARTED" >"$DNS_DIR/pid"
}

# dns_ask SERVER NAME [TYPE]: `NOERROR 1`, for example; fails without answer.
dns_ask() {
	local ns=()
	[ -z "${NS:-}" ] || ns=(ip netns exec "$(ns_name "$NS")")
	"${ns[@]}" /usr/bin/python3 "$HELPER/dns.py" ask "$@"
}

# Does the server answer (or has it ended)?
dns_up() {
	gone "$2" || dns_ask "$1" . 2>/dev/null
}

dns_wait() {
	local pid
	pid=$(cat "$DNS_DIR/pid")
	wait_until dns_up "$1" "$pid" >/dev/null || return 1
	alive "$pid" || {
		fail "$(cat "$DNS_DIR"/log "$DNS_DIR"/process.err 2>/dev/null)"
		return 1
	}
}

# start_nsd [-n NAME]: nsd with the records of standard input in the root zone
# (names in full; two hours to live). Sets NSD, `ADDRESS@PORT`.
start_nsd() {
	local name=nsd
	if [ "${1:-}" = -n ]; then
		name=$2
	fi
	DNS_DIR=$(scratch)/$name
	mkdir -p "$DNS_DIR"
	NSD=$(own_address)@5353
	cat - >"$DNS_DIR/zone" <<-END
		\$ORIGIN .
		\$TTL 7200
		@ SOA ns.example. root.example. 1 3600 3600 3600 60
		@ NS ns.example.
		ns.example. A 127.0.0.1
		mta.example. A 127.0.0.1
		$(cat)
	END
	cat >"$DNS_DIR/conf" <<-END
		server:
			ip-address: $NSD
			server-count: 1
			username: ""
			zonesdir: "$DNS_DIR"
			pidfile: ""
			database: ""
			logfile: "$DNS_DIR/log"
			xfrdfile: "$DNS_DIR/xfrd"
			xfrdir: "$DNS_DIR"
			zonelistfile: "$DNS_DIR/zones"
			rrl-ratelimit: 0
		remote-control:
			control-enable: no
		zone:
			name: "."
			zonefile: "$DNS_DIR/zone"
	END
	dns_start "$name" nsd "$PEERS/nsd/usr/sbin/nsd" -d -c "$DNS_DIR/conf"
	dns_wait "$NSD"
}

# start_unbound [-n NAME] [-a ADDRESS@PORT] [SETTING...]: unbound that asks $NSD
# (or $DNS_BEHIND) for everything; settings are of its section `server:`, other
# sections may follow. Sets UNBOUND, `ADDRESS@PORT` (-a: that one), UNBOUND_LOG.
start_unbound() {
	local name=unbound
	UNBOUND=$(own_address)@5353
	while [ "${1:-}" = -n ] || [ "${1:-}" = -a ]; do
		[ "$1" = -n ] && name=$2 || UNBOUND=$2
		shift 2
	done
	DNS_DIR=$(scratch)/$name
	mkdir -p "$DNS_DIR"
	UNBOUND_LOG=$DNS_DIR/log
	cat >"$DNS_DIR/conf" <<-END
		server:
			interface: ${UNBOUND%@*}
			port: ${UNBOUND#*@}
			access-control: 0.0.0.0/0 allow
			do-ip6: no
			do-daemonize: no
			chroot: ""
			username: ""
			directory: "$DNS_DIR"
			pidfile: ""
			logfile: "$DNS_DIR/log"
			log-queries: yes
			module-config: "iterator"
			do-not-query-localhost: no
			num-queries-per-thread: 4096
			outgoing-range: 8192
			$(printf '%s\n' "$@")
		remote-control:
			control-enable: no
		stub-zone:
			name: "."
			stub-addr: ${DNS_BEHIND:-$NSD}
	END
	dns_start "$name" unbound "$PEERS/unbound/usr/sbin/unbound" -d \
		-c "$DNS_DIR/conf"
	dns_wait "$UNBOUND"
}

# start_dns_py NAME COMMAND ADDRESS@PORT ARG...: one of dns.py's servers; where
# it listens is in NAME/address of the scratch directory.
start_dns_py() {
	local name=$1
	shift
	DNS_DIR=$(scratch)/$name
	mkdir -p "$DNS_DIR"
	dns_start "$name" unbound /usr/bin/python3 "$HELPER/dns.py" "$@"
	echo "$2" >"$DNS_DIR/address"
	wait_until grep -qs ready "$DNS_DIR/process.out"
}

# stop_dns NAME [SIGNAL]
stop_dns() {
	end "$(cat "$(scratch)/$1/pid")" "${2:-TERM}"
}

# dns_questions [PATTERN]: how many such that the last unbound has been asked.
dns_questions() {
	grep -cE " info: 127\\.[0-9.]* ${1:-}" "$UNBOUND_LOG" || true
}

# dconf [SETTING...]: a configuration that asks $UNBOUND and sends to the MX,
# port $SINK_PORT, on loopback; else as rconf. GLOBAL: more global settings.
dconf() {
	{
		echo "host-name = mta.example"
		echo "name-server = {${SERVERS:-"'$UNBOUND'"}}"
		echo "log-file = '$P/log/vmta.log'"
		echo "allow-special-destination = {${ALLOW-"'127.0.0.0/8'"}}"
		echo "acct-file '$P/log/acct.csv' { records = {d, b, t, tq, r} }"
		echo "${GLOBAL:-}"
		echo "source 'local' { default-virtual-mta = v1 }"
		echo "virtual-mta v1 {"
		echo "smtp-source-host = {${SOURCE:-"'127.0.0.1 v1.example'"}}"
		echo "}"
		echo "domain '*' {"
		echo "default-smtp-port = $SINK_PORT"
		printf '%s\n' "$@"
		echo "}"
	} | conf
}

# dns_status: what the report says of the brake.
dns_status() {
	report --format csv status | csv value name=dnsBrake
}

# log_lines EVENT [PATTERN]: of vmta's log.
log_lines() {
	grep -E " $1 .*${2:-}" "$P/log/vmta.log" || true
}
