# What the bats files share: a scratch prefix, the sink, waiting, reading what
# tools print, network namespaces, and an end that leaves nothing running.
#
#	load helper/common
#	setup() { make_prefix; }
#	teardown() { end_test; }
#
# Nothing here waits for a time to pass: wait_until asks again until a thing
# is so, and gives up (fails) after VMTA_TEST_WAIT seconds, three minutes.

# shellcheck shell=bash disable=SC2034 # the tests use what is set here

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HELPER=$ROOT/t/helper
BUILD=${VMTA_BUILD:-$ROOT/build/release}
SINK=${VMTA_SINK:-$BUILD/t/helper/sink}
PEERS=${VMTA_PEERS:-$ROOT/build/peers}
export LC_ALL=C.UTF-8 TZ=UTC

# Debian's Python, whatever else the caller has in his path.
python3() {
	/usr/bin/python3 "$@"
}

# Where this test (or file, in setup_file) keeps its things.
scratch() {
	echo "${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}"
}

# fail TEXT...: say why and fail.
fail() {
	printf '%s\n' "$*" >&2
	return 1
}

# equal EXPECTED FOUND [WHAT]
equal() {
	[ "$1" = "$2" ] || fail "${3:-value}: expected '$1', found '$2'"
}

# refute COMMAND [ARG...]: it must not succeed.
refute() {
	! "$@" || fail "succeeded: $*"
}

# wait_until [-t SECONDS] COMMAND [ARG...]: until the command succeeds.
wait_until() {
	local limit=${VMTA_TEST_WAIT:-180} end
	if [ "$1" = -t ]; then
		limit=$2
		shift 2
	fi
	end=$((SECONDS + limit))
	until "$@"; do
		((SECONDS < end)) || {
			fail "not so within $limit s: $*"
			return 1
		}
		sleep 0.05
	done
}

# ---- processes ----------------------------------------------------------

# When the process began (so that a pid used again is not taken for it).
began() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
	# shellcheck disable=SC2086
	set -- ${stat##*) }
	echo "${20}"
}

# Is the process there, and not a zombie?
alive() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
	stat=${stat##*) }
	[ "${stat:0:1}" != Z ]
}

gone() {
	! alive "$1"
}

# own PID: end_test ends it, whatever becomes of the test.
own() {
	echo "$1 $(began "$1")" >>"$(scratch)/.pids"
}

# end PID [SIGNAL]: send the signal (TERM), wait until it is gone; KILL it
# after 30 s.
end() {
	kill -s "${2:-TERM}" "$1" 2>/dev/null || return 0
	wait_until -t 30 gone "$1" || {
		kill -s KILL "$1" 2>/dev/null
		wait_until -t 30 gone "$1"
	}
	wait "$1" 2>/dev/null || true
}

# start NAME COMMAND...: run it in the background, output to NAME.out and
# NAME.err of the scratch directory; $STARTED is its pid.
start() {
	local name=$1 dir
	shift
	dir=$(scratch)
	# the program itself: a function would be a shell around it, and what
	# ends the shell would leave the program
	[ "$1" != python3 ] || set -- /usr/bin/python3 "${@:2}"
	"$@" >"$dir/$name.out" 2>"$dir/$name.err" 3>&- &
	STARTED=$!
	own "$STARTED"
}

# end_test: end what the test began. For teardown and teardown_file.
end_test() {
	local dir pid at ns
	dir=$(scratch)
	if [ -n "${BATS_TEST_TMPDIR:-}" ] && [ -z "${BATS_TEST_COMPLETED:-}" ]
	then
		tail -n 20 "$dir"/*.err "$dir"/sink-*/log 2>/dev/null || true
	fi
	if [ -f "$dir/.pids" ]; then
		while read -r pid at; do
			[ "$(began "$pid")" = "$at" ] || continue
			end "$pid" || true
		done < <(tac "$dir/.pids")
		rm -f "$dir/.pids"
	fi
	if [ -f "$dir/.dirs" ]; then
		xargs -r rm -rf <"$dir/.dirs"
		rm -f "$dir/.dirs"
	fi
	if [ -f "$dir/.ns" ]; then
		while read -r ns; do
			ip netns del "$ns" || true
		done <"$dir/.ns"
		rm -f "$dir/.ns"
	fi
}

# A loopback address that no other test has now: made of a pid of ours.
own_address() {
	local pid=$BASHPID
	echo "127.$((64 + (pid >> 16 & 63))).$((pid >> 8 & 255)).$((pid & 255))"
}

# ---- what a test needs --------------------------------------------------

need_root() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

need_command() {
	local c
	for c; do
		command -v "$c" >/dev/null || skip "needs $c"
	done
}

# need_plain WHY: not where a sanitizer takes memory, or time, of its own.
need_plain() {
	case $BUILD in
	*/asan | */cov | */int) skip "not with sanitizers: $1" ;;
	esac
}

# leaks_unseen: LeakSanitizer cannot work under strace, and what a library
# loses when it fails is not ours.
leaks_unseen() {
	export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
}

need_strace() {
	need_command strace
	strace -qq -e trace=none true 2>/dev/null || skip "strace is not allowed"
	leaks_unseen
}

need_user() {
	getent passwd "$1" >/dev/null || skip "needs the user $1"
}

need_netns() {
	need_root
	need_command ip nft
	unshare -n true 2>/dev/null || skip "needs network namespaces"
}

need_postfix() {
	[ -x "$PEERS/postfix/usr/sbin/smtp-sink" ] ||
		skip "needs Postfix unpacked: make peers"
}

# The whole of it: its processes change their users.
need_postfix_mta() {
	need_root
	need_postfix
}

# IPv6 on the loopback interface?
need_ipv6() {
	grep -qs '^0\{31\}1 ' /proc/net/if_inet6 || skip "needs ::1"
}

# ---- a scratch prefix ---------------------------------------------------

# make_prefix: $P with bin (what was built), etc, spool and log beside it.
# $VMTA_CONFIG names its vmta.conf; nothing of the caller's mail is touched.
make_prefix() {
	P=$(mktemp -d "$(scratch)/prefix.XXXXXX")
	ln -s "$BUILD/bin" "$P/bin"
	mkdir "$P/etc" "$P/spool" "$P/log"
	export VMTA_CONFIG=$P/etc/vmta.conf
	PATH=$P/bin:$PATH
}

# conf <<END: write the configuration.
conf() {
	cat >"$P/etc/vmta.conf"
}

# The tools of the prefix.
inject() {
	"$P/bin/vmta-inject" "$@"
}

runq() {
	"$P/bin/vmta-runq" "$@"
}

vqueue() {
	"$P/bin/vmta-queue" "$@"
}

report() {
	"$P/bin/vmta-report" "$@"
}

# message [SUBJECT [BODY]]: a small message on stdout.
message() {
	printf 'From: <a@sender.example>\nTo: <b@rcpt.example>\n'
	printf 'Subject: %s\n\n%s\n' "${1:-test}" "${2:-hello}"
}

# ---- the sink -----------------------------------------------------------

# start_sink [-n NAME] [-s] [OPTION...]: a sink (see sink --help). Without -l
# it listens on 127.0.0.1 and a port of the kernel's choice; -s stores the
# contents in $SINK_DIR/store. Sets SINK_PID, SINK_DIR, SINK_LOG, SINK_ADDRS
# (array), SINK_ADDR and SINK_PORT (of the first). With NS=name it runs in that
# namespace. Returns when it listens.
start_sink() {
	local name=sink arg listen=yes opts=() ns=()
	while [ "$1" = -n ] || [ "$1" = -s ]; do
		if [ "$1" = -n ]; then
			name=$2
			shift 2
		else
			opts+=(--store)
			shift
		fi
	done
	SINK_DIR=$(scratch)/sink-$name
	mkdir -p "$SINK_DIR/store"
	rm -f "$SINK_DIR/ready"
	[ "${#opts[@]}" = 0 ] || opts+=("$SINK_DIR/store")
	for arg; do
		case $arg in -l* | --listen*) listen=no ;; esac
	done
	[ $listen = no ] || opts+=(-l 127.0.0.1:0)
	[ -z "${NS:-}" ] || ns=(ip netns exec "$(ns_name "$NS")")
	SINK_LOG=$SINK_DIR/log
	start "sink-$name/process" "${ns[@]}" "$SINK" --ready "$SINK_DIR/ready" \
		--log "$SINK_LOG" --count-file "$SINK_DIR/counts" \
		"${opts[@]}" "$@"
	SINK_PID=$STARTED
	echo "$SINK_PID" >"$SINK_DIR/pid"
	wait_until sink_ready "$SINK_DIR" "$SINK_PID" || return 1
	[ -s "$SINK_DIR/ready" ] || {
		fail "sink $name: $(cat "$SINK_DIR/process.err")"
		return 1
	}
	mapfile -t SINK_ADDRS <"$SINK_DIR/ready"
	SINK_ADDR=${SINK_ADDRS[0]}
	SINK_PORT=${SINK_ADDR##*:}
}

sink_ready() {
	[ -s "$1/ready" ] || gone "$2"
}

# stop_sink [NAME]: end it; its totals are in sink-NAME/process.out.
stop_sink() {
	end "$(cat "$(scratch)/sink-${1:-sink}/pid")"
}

# sink_flush [NAME]: until all that happened so far is in log and counts.
sink_flush() {
	local dir pid before
	dir=$(scratch)/sink-${1:-sink}
	pid=$(cat "$dir/pid")
	alive "$pid" || return 0
	before=$(sink_key flush "$dir/counts")
	kill -s USR1 "$pid"
	wait_until sink_flushed "$dir" "$before"
}

sink_flushed() {
	[ -s "$1/counts" ] && [ "$(sink_key flush "$1/counts")" != "$2" ]
}

# sink_key KEY FILE: its value in the line of totals; nothing without a file.
sink_key() {
	[ ! -f "$2" ] ||
		sed -n "s/^total .*\\b$1=\\([0-9]*\\).*/\\1/p" "$2"
}

# sink_count KEY [NAME]: connections messages recipients bytes refused
# violations drops lost wasted open max-concurrent.
sink_count() {
	sink_flush "${2:-sink}" || return 1
	sink_key "$1" "$(scratch)/sink-${2:-sink}/counts"
}

# sink_source ADDRESS KEY [NAME]: connections messages recipients bytes
# max-concurrent of a source address; 0 when it was never seen.
sink_source() {
	sink_flush "${3:-sink}" || return 1
	awk -v a="name=$1" -v k="$2=" '
		$1 == "source" && $2 == a {
			for (i = 3; i <= NF; i++)
				if (index($i, k) == 1)
					n = substr($i, length(k) + 1)
		}
		END { print n + 0 }' "$(scratch)/sink-${3:-sink}/counts"
}

# sink_sources [NAME]: the source addresses seen, sorted.
sink_sources() {
	sink_flush "${1:-sink}" || return 1
	sed -n 's/^source name=\([^ ]*\) .*/\1/p' \
		"$(scratch)/sink-${1:-sink}/counts" | sort
}

# sink_log EVENT [NAME]: the log lines of an event.
sink_log() {
	sink_flush "${2:-sink}" || return 1
	sed -n "/^$1\t/p" "$(scratch)/sink-${2:-sink}/log"
}

# field NAME...: of each log line on stdin, these fields (TAB between; `-`
# where there is none; a repeated one gives all values with a space between).
field() {
	awk -F '\t' -v names="$*" '
		BEGIN { n = split(names, name, " ") }
		{
			for (j = 1; j <= n; j++) {
				v = ""
				for (i = 2; i <= NF; i++)
					if (index($i, name[j] "=") == 1)
						v = v " " substr($i, length(name[j]) + 2)
				printf "%s", (j > 1 ? "\t" : "") (v == "" ? "-" : substr(v, 2))
			}
			print ""
		}'
}

# sink_has N [NAME]: has it accepted N messages (for wait_until)?
sink_has() {
	[ "$(sink_count messages "${2:-sink}")" -ge "$1" ]
}

# sink_strict [NAME]: fail and show them if the client broke a rule.
sink_strict() {
	equal 0 "$(sink_count violations "${1:-sink}")" violations || {
		sink_log violation "${1:-sink}" | head -n 20 >&2
		return 1
	}
}

# talk ADDRESS:PORT [FROM] <<END: hold an SMTP dialogue, see talk.py.
talk() {
	python3 "$HELPER/talk.py" "$@"
}

# ---- reading what tools print -------------------------------------------

# json EXPR: evaluate a Python expression for each JSON line (x) of stdin, and
# print what is not None.
json() {
	python3 -c '
import json, sys
for line in sys.stdin:
    x = json.loads(line)
    v = eval(sys.argv[1])
    if v is not None:
        print(v)' "$1"
}

# csv COLUMN... [COLUMN=VALUE...]: these columns of CSV with a header row on
# stdin, TAB between; only rows where each COLUMN=VALUE holds.
csv() {
	python3 -c '
import csv, sys
want = [a for a in sys.argv[1:] if "=" not in a]
cond = [a.split("=", 1) for a in sys.argv[1:] if "=" in a]
for row in csv.DictReader(sys.stdin):
    if all(row[k] == v for k, v in cond):
        print("\t".join(row[k] for k in want))' "$@"
}

# ---- network namespaces -------------------------------------------------

# The name that the system knows a test's namespace by.
ns_name() {
	echo "vmta-${BATS_RUN_TMPDIR##*-}-$1"
}

# ns_make NAME: a namespace with its loopback up; end_test deletes it.
ns_make() {
	local ns
	ns=$(ns_name "$1")
	ip netns add "$ns"
	echo "$ns" >>"$(scratch)/.ns"
	ip -n "$ns" link set lo up
}

# ns_link A B: join two namespaces; the interface is `to-B` in A and `to-A` in
# B.
ns_link() {
	ip link add "to-$2" netns "$(ns_name "$1")" type veth \
		peer name "to-$1" netns "$(ns_name "$2")"
	ip -n "$(ns_name "$1")" link set "to-$2" up
	ip -n "$(ns_name "$2")" link set "to-$1" up
}

# ns_addr NAME ADDRESS/LEN [DEVICE]: give it an address (on lo).
ns_addr() {
	case $2 in
	*:*) ip -n "$(ns_name "$1")" addr add "$2" dev "${3:-lo}" nodad ;;
	*) ip -n "$(ns_name "$1")" addr add "$2" dev "${3:-lo}" ;;
	esac
}

# ns_addr_del NAME ADDRESS/LEN [DEVICE]
ns_addr_del() {
	ip -n "$(ns_name "$1")" addr del "$2" dev "${3:-lo}"
}

# ns_run NAME COMMAND...
ns_run() {
	local ns
	ns=$(ns_name "$1")
	shift
	ip netns exec "$ns" "$@"
}

# ns_count NAME: from now on count the SYNs that leave, by source address.
ns_count() {
	ip netns exec "$(ns_name "$1")" nft -f - <<-'END'
		table inet vmta {
			set four { type ipv4_addr; flags dynamic; counter; }
			set six { type ipv6_addr; flags dynamic; counter; }
			chain out {
				type filter hook output priority 0;
				tcp flags & (syn | ack) == syn update @four { ip saddr }
				tcp flags & (syn | ack) == syn update @six { ip6 saddr }
			}
		}
	END
}

# ns_syns NAME: `ADDRESS COUNT` for each source address, sorted.
ns_syns() {
	local set
	for set in four six; do
		ip netns exec "$(ns_name "$1")" \
			nft -j list set inet vmta $set
	done | json '"\n".join("%s %d" % (e["elem"]["val"],
	    e["elem"]["counter"]["packets"]) for o in x["nftables"]
	    for e in o.get("set", {}).get("elem", [])) or None' | sort
}
