# What the bats files about delivery share; to be loaded after common.
#
#	start_sink
#	rconf 'max-smtp-out = 2' <<-'END'
#		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
#	END
#	send b@rcpt.example
#	deliver
#	all_final 1

# shellcheck shell=bash

# rconf [SETTING...]: the configuration: what all have, standard input, and the
# settings for every domain, whose mail goes to $HOSTS (the last sink's first
# address).
rconf() {
	local hosts=${HOSTS:-"'[127.0.0.1]:$SINK_PORT'"}
	{
		echo "host-name = mta.example"
		echo "log-file = '$P/log/vmta.log'"
		echo "acct-file '$P/log/acct.csv' { records = {d, b, t, tq, r} }"
		echo "source 'local' { default-virtual-mta = ${DEFAULT_VMTA:-v1} }"
		echo "domain '*' {"
		echo "smtp-hosts = {$hosts}"
		printf '%s\n' "$@"
		echo "}"
		cat
	} | conf
}

# rconf with one VirtualMTA, v1, that sends from 127.0.0.1.
rconf1() {
	rconf "$@" <<<"virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }"
}

# send [OPTION...] RCPT...: inject a small message.
send() {
	message | inject -f s@sender.example "$@"
}

# bsmtp FIRST LAST DOMAIN...: a stream, a message for each number N, to
# rN@DOMAIN, the domains in turn.
bsmtp() {
	awk -v first="$1" -v last="$2" -v domains="${*:3}" '
		BEGIN {
			n = split(domains, domain, " ")
			for (i = first; i <= last; i++) {
				print "MAIL FROM:<s@sender.example>"
				printf "RCPT TO:<r%d@%s>\n", i, domain[i % n + 1]
				print "DATA\nFrom: <s@sender.example>"
				printf "To: <r%d@example>\nX-Seq: %d\n\n", i, i
				printf "number %d\n.\n", i
			}
		}'
}

# send_many FIRST LAST DOMAIN... [-- OPTION...]: inject such a stream.
send_many() {
	local range=()
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		range+=("$1")
		shift
	done
	shift || true
	bsmtp "${range[@]}" | inject --bsmtp "$@" >/dev/null
}

# deliver [OPTION...]: a run that ends well and leaves nothing half done.
deliver() {
	timeout 600 "$P/bin/vmta-runq" "$@" || {
		fail "vmta-runq $*: exit $?"
		return 1
	}
	settled
}

# Between runs: no open segment, no commit, nothing in tmp or bad.
settled() {
	local left
	left=$(find "$P"/spool/acct -name '*.live'
		find "$P"/spool/queue/*/tmp "$P"/spool/commit "$P"/spool/bad \
			-type f 2>/dev/null) || true
	[ -z "$left" ] || fail "left behind: $left"
}

# waiting N: so many recipients are in the queue.
waiting() {
	equal "$1" "$(vqueue count)" 'recipients that wait'
}

# No mail is there, and no file of any.
nothing_waits() {
	local left
	waiting 0 || return 1
	left=$(find "$P/spool/queue" "$P/spool/content" -type f)
	[ -z "$left" ] || fail "left behind: $left"
}

# journal COLUMN... [COLUMN=VALUE...]: of the journal's records, as csv does.
journal() {
	python3 "$HELPER/acct.py" rows "$@" -- "$P"/spool/acct/*.csv \
		"$P"/spool/acct/*.live
}

# accounting COLUMN... [COLUMN=VALUE...]: the same of what was exported.
accounting() {
	python3 "$HELPER/acct.py" rows "$@" -- "$P"/log/acct*.csv
}

# types: how many records there are of each type, on one line: `d=3 t=1`.
types() {
	journal type | sort | uniq -c | awk '{ print $2 "=" $1 }' | xargs
}

# all_final N: journal and export have one d or b for each of N recipients,
# and no other, and nothing waits.
all_final() {
	python3 "$HELPER/acct.py" finals "$1" -- "$P"/spool/acct/*.csv &&
		python3 "$HELPER/acct.py" finals "$1" -- "$P"/log/acct*.csv &&
		nothing_waits
}

# logged EVENT [TEXT]: lines of the log about an event (that hold the text).
logged() {
	grep -E "(^|[ =])$1( |\$)" "$P/log/vmta.log" | grep -F -e "${2:-}"
}

# start_runq [OPTION...]: run it in the background; RUNQ_PID.
start_runq() {
	start runq "$P/bin/vmta-runq" "$@"
	RUNQ_PID=$STARTED
}

# The daemon owns the VirtualMTA (v1).
owned() {
	[ -n "$(find "$P/spool/acct" -name '*.live' 2>/dev/null)" ]
}

# start_daemon [OPTION...]: and wait until it owns everything.
start_daemon() {
	start_runq --daemon "$@"
	wait_until owned
}

# ended PID: its exit code, once it is over (in $?).
ended() {
	wait_until gone "$1" && wait "$1"
}
