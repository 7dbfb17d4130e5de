# A run against a server that behaves badly, and what must become of it; to be
# loaded after common, runq and badpeer.
#
#	trouble '4.4.2' '*timed out*' 'command-timeout = 1s' <<-'END'
#		upto MAIL
#		hold
#	END
#	queues_failed; recovers

# shellcheck shell=bash disable=SC2034 # the tests use what is set here

# bad_conf [SETTING...]: mail goes to $HOSTS, which is the bad server, with the
# settings; that of good.example to the sink, with the usual ones. One
# connection at a time: one that is not given up would hold up all others.
bad_conf() {
	HOSTS=${HOSTS:-"'[127.0.0.1]:$BAD_PORT'"} rconf 'retry-after = 5h' \
		"$@" <<-END
			total-max-smtp-out = ${TOTAL:-1}
			virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
			domain 'good.example' {
				smtp-hosts = {'[127.0.0.1]:$SINK_PORT'}
				smtp-greeting-timeout = 5m
				command-timeout = 5m
				smtp-data-termination-timeout = 10m
			}
		END
}

# trouble STATUS TEXT [SETTING...] <<END: a run with mail for bad1.example,
# bad2.example and good.example. The bad server does what the script says on
# its first two connections (one for each), and is good after that. STATUS and
# TEXT (a pattern) are what queues_failed looks for.
trouble() {
	local script
	TROUBLE_STATUS=$1 TROUBLE_TEXT=$2
	shift 2
	script=$(cat)
	start_sink
	start_bad <<-END
		conn 1-2
		$script
		conn *
		polite
	END
	bad_conf "$@"
	send a@bad1.example
	send b@bad2.example
	send c@good.example
	deliver
}

# clock DOMAIN KEY: its value in the state of its queue.
clock() {
	sed -n "s/^$2: //p" "$P/spool/state/retry/v1/$1"
}

no_clocks() {
	local left
	left=$(find "$P/spool/state" -path "*/retry/*" -type f)
	[ -z "$left" ] || fail "clocks: $left"
}

# alike PATTERN TEXT: all lines of the text match the pattern, one at least.
alike() {
	local line
	while IFS= read -r line; do
		# shellcheck disable=SC2053 # a pattern
		[[ $line == $1 ]] || fail "not like '$1': '$line'" || return 1
	done <<<"$2"
}

# After trouble: both queues could not send, as such. Each has its record, one
# step on its clock, and its mail, of which no recipient was charged an
# attempt; both connections have ended; the good domain has its mail.
queues_failed() {
	equal "d=1 r=3 tq=2" "$(types)" records || return 1
	equal "bad1.example/v1 bad2.example/v1" \
		"$(journal queue type=tq | sort | xargs)"
	alike "$TROUBLE_STATUS*" "$(journal dsnStatus type=tq)" || return 1
	alike "$TROUBLE_TEXT" "$(journal dsnDiag type=tq)" || return 1
	equal c@good.example "$(journal rcpt type=d)" || return 1
	waiting 2 || return 1
	equal 0 "$(vqueue list --format csv | csv attempts | sort -u)" attempts
	equal "1 1" "$(clock bad1.example step) $(clock bad2.example step)" step
	equal 1 "$(sink_count messages)" || return 1
	equal 2 "$(bad_conns)" connections || return 1
	wait_until bad_ended 2
}

# After trouble: both recipients were tried and deferred; nothing is said
# against their queues as such, but TYPES (of all records) tells.
rcpts_deferred() {
	equal "${1:-d=1 r=3 t=2}" "$(types)" records || return 1
	equal "a@bad1.example b@bad2.example" \
		"$(journal rcpt type=t | sort | xargs)" || return 1
	alike "$TROUBLE_STATUS*" "$(journal dsnStatus type=t)" || return 1
	alike "$TROUBLE_TEXT" "$(journal dsnDiag type=t)" || return 1
	equal c@good.example "$(journal rcpt type=d)" || return 1
	waiting 2 || return 1
	equal 1 "$(vqueue list --format csv | csv attempts | sort -u)" attempts
	equal 1 "$(sink_count messages)" || return 1
	wait_until bad_ended 2
}

# recovers [TIMES]: the server has become good: what waited arrives, complete
# TIMES (1) times in all, and each recipient has one final record.
recovers() {
	bad_conf || return 1
	deliver --now || return 1
	all_final 3 || return 1
	equal 3 "$(journal rcpt type=d | sort -u | wc -l)" delivered || return 1
	no_clocks || return 1
	equal 2 "$(bad_complete | sort -u | wc -l)" messages || return 1
	equal "${1:-1}" "$(bad_complete | sort | uniq -c |
		awk '{ print $1 }' | sort -u)" 'times each'
}

# answers STAGE [SETTING...] <<END: a run with mail for r@fN.example, N being
# the number of a line of standard input. Its server, which knows no extension,
# gives that line (escapes as in badpeer.py) as its greeting or in answer to
# the command of STAGE (GREETING, EHLO, MAIL, RCPT, DATA, END), and says yes to
# all others, whatever comes.
answers() {
	local stage=$1 listen=() n=0 form
	shift
	: >"$P/script"
	while IFS= read -r form; do
		n=$((n + 1))
		listen+=(-l "127.0.1.$n:=")
		answers_script "$stage" "$n" "$form" >>"$P/script"
	done
	start_bad -l 127.0.0.1:0 "${listen[@]}" <"$P/script"
	HOSTS="'[127.0.0.1]:$BAD_PORT'" rconf 'retry-after = 5h' <<-END
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		$(answers_domains "$n" "$@")
	END
	for ((; n > 0; n--)); do
		send "r@f$n.example"
	done
	deliver
}

answers_domains() {
	local n
	for ((n = 1; n <= $1; n++)); do
		echo "domain 'f$n.example' {"
		echo "smtp-hosts = {'[127.0.1.$n]:$BAD_PORT'}"
		printf '%s\n' "${@:2}"
		echo "}"
	done
}

# The section of one of them: STAGE N ANSWER.
answers_script() {
	local verb answer
	printf 'conn to=127.0.1.%d\n' "$2"
	for verb in GREETING EHLO MAIL RCPT DATA END; do
		answer='send 250 2.0.0 ok'
		case $verb in
		GREETING) answer='send 220 mx' ;;
		END) echo data ;;
		DATA) answer='send 354 go' ;&
		*) echo "expect $verb" ;;
		esac
		[ $verb != "$1" ] || answer="raw $3"
		echo "$answer"
	done
	echo polite
}

# recover_answers N: the servers have become good; all N recipients have one
# final record then.
recover_answers() {
	start_sink
	rconf1 || return 1
	deliver --now || return 1
	all_final "$1" || return 1
	no_clocks
}

# answered TYPE N...: the answers of these lines gave these recipients such a
# record and no other but `r`; tq: their queues.
answered() {
	local type=$1 n key
	shift
	for n; do
		key=rcpt=r@f$n.example
		[ "$type" != tq ] || key=queue=f$n.example/v1
		equal "$type" "$(journal type "$key" | grep -v '^r$' |
			xargs)" "records of answer $n" || return 1
	done
}

# clean FILE...: text of UTF-8 without control characters, in lines.
clean() {
	python3 -c '
import sys, unicodedata
for name in sys.argv[1:]:
    text = open(name, "rb").read().decode().replace("\r\n", "\n")
    for line in text.split("\n"):
        if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in line):
            sys.exit("%s: %r" % (name, line))' "$@"
}

# The processes of the run in the background.
runq_pids() {
	echo "$RUNQ_PID"
	pgrep -P "$RUNQ_PID" || true
}

# runq_signal SIGNAL: to each of them.
runq_signal() {
	local pid
	for pid in $(runq_pids); do
		kill -s "$1" "$pid"
	done
}
