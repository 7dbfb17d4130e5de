# vmta-runq against a hostile spool, requests, signals, shortage, and other
# runners; what it says on the wire, and that nothing is lost or sent twice.

load helper/common
load helper/runq
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
	R=$BATS_TEST_TMPDIR/result
}

teardown() {
	end_test
}

# arrived N: so many messages, no recipient twice, no rule broken.
arrived() {
	sink_strict || return 1
	sink_log msg | grep 'reply=2' | field rcpt | tr ' ' '\n' | grep '^<' \
		>"$R" || true
	equal "$1" "$(wc -l <"$R")" 'recipients that arrived' || return 1
	equal '' "$(sort "$R" | uniq -d | head)" 'recipients that arrived twice'
}

# ---- V02: read back -------------------------------------------------------

# change OLD NEW: the only batch, as reseal does it.
change() {
	"$BUILD/t/helper/reseal" "$P"/spool/queue/v1/*/x.example/* "$1" "$2"
}

# read_back OLD NEW aside|bounced|sent: what becomes of such a batch, while
# another one leaves.
read_back() {
	local what="'$1' made '$2'"
	rm -rf "${P:?}/spool" "$P/log"/acct*
	send --envid e1 --job j1 a@x.example
	change "$1" "$2" || fail "no $1 in the batch" || return 1
	send "ok$((++OK))@other.example"
	timeout 300 "$P/bin/vmta-runq" || fail "$what: exit $?" || return 1
	waiting 0 || return 1
	case $3 in
	aside) equal 2 "$(find "$P/spool/bad" -type f | wc -l)" "$what: in bad" ;;
	bounced) equal 1 "$(journal type type=b | wc -l)" "$what: bounces" ;;
	sent)
		equal 2 "$(journal type type=d | wc -l)" "$what: deliveries"
		OK=$((OK + 1))
		;;
	esac || return 1
	# a record a line, whatever is in it
	python3 - "$P"/spool/acct/*.csv <<-'EOF'
		import csv, sys
		for f in sys.argv[1:]:
		    data = open(f, "rb").read()
		    assert data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n")
		    rows = list(csv.reader(open(f, newline="", encoding="utf-8")))
		    assert len(rows) == data.count(b"\n"), f
		    assert len({len(r) for r in rows}) == 1, f
	EOF
}

# All of it against a sink with these options.
read_back_all() {
	start_sink "$@"
	rconf1
	OK=0
	local cr='\x0d'
	read_back 'a@x.example' "a${cr}@x.example" aside
	read_back 'a@x.example' "a>${cr}RCPT TO:<evil@x.example" aside
	read_back ' a@x.example' "${cr}a@x.example" aside
	read_back 'a@x.example' "\"a${cr}\"@x.example" aside
	read_back 'a@x.example' '\x00a@x.example' aside
	read_back 'a@x.example' '\x7fa@x.example' aside
	read_back ' a@x.example' ' a\x0aRCPT TO:<evil@x.example>' aside
	read_back 's@sender.example' "s${cr}@x.example" aside
	read_back 's@sender.example' "s>${cr}RCPT TO:<evil@x.example" aside
	read_back ' e1 ' " e1${cr}X " aside
	read_back ' - - a@x' " - rfc822;a${cr}b a@x" aside
	read_back ' - - a@x' " S${cr} - a@x" aside
	read_back 'job: j1' "job: j1${cr}X: y" aside
	read_back 'source: ' "source: ${cr}" aside
	read_back 'domain: x.example' 'domain: ..' aside
	read_back 'vmta: v1' 'vmta: ../v1' aside
	read_back 'a@x.example' 'a> SIZE=1 <b@x.example' bounced
	read_back 'a@x.example' 'a b@x.example' bounced
	read_back 'a@x.example' 'a\xffb@x.example' bounced
	read_back 'a@x.example' 'a\xc2\x85b@x.example' bounced
	read_back 'a@x.example' '"a@x.example' bounced
	read_back 's@sender.example' 's>RET=HDRS' bounced
	read_back 's@sender.example' 's\xc2\x9bx@y' bounced
	read_back ' e1 ' ' e\xff1 ' sent
	read_back ' - - a@x' ' - rfc822;\xffb a@x' sent
	read_back ' - - a@x' ' XYZ - a@x' sent
	arrived_from_spool
}

# What the sink saw: all that was meant, and no command in a command.
arrived_from_spool() {
	sink_strict
	equal $OK "$(sink_count messages)"
	sink_log msg | field from rcpt >"$R"
	refute grep -q 'evil\|X: y' "$R"
	LC_ALL=C refute grep -aq $'[\x01-\x08\x0b-\x1f\x7f-\xff]' "$R"
}

# bats test_tags=slow
@test "V02: a batch changed by hand brings no line end onto the wire" {
	read_back_all
}

# bats test_tags=slow
@test "V02: the same without PIPELINING, CHUNKING and DSN" {
	read_back_all --no PIPELINING --no CHUNKING --no DSN --no SMTPUTF8
}

# ---- V08, V20 -------------------------------------------------------------

@test "V08: vmta-runq executes nothing, whatever the addresses are" {
	need_strace
	start_sink --reply 'rcpt:*%n* 550 5.1.1 |id `id` $(id) %n%s'
	rconf1
	send -f '-oQ/tmp@y.example' -- '-f@x.example' '|id@x.example' \
		'"$(id)"@x.example' '`id`@x.example' '${run{id}}@x.example' '%n@x.example'
	strace -f -qq -e trace=execve,execveat,fork,vfork -o "$R" \
		"$P/bin/vmta-runq" --workers 2
	equal 1 "$(grep -c 'execve' "$R")" "$(cat "$R")"
	equal 5 "$(journal type type=d | wc -l)"
	equal 1 "$(journal type type=b | wc -l)"
	# the reply is shown as it came, no format of ours
	journal dsnDiag type=b | grep -qF '|id `id` $(id) %n%s'
	logged bounced '%n@x.example' | grep -qF '$(id) %n%s'
	sink_strict
}

@test "V20: no randomness: 75, and nothing is sent" {
	need_strace
	start_sink
	rconf1
	send a@x.example
	for tool in vmta-runq 'vmta-runq --workers 2' 'vmta-queue hold --all'; do
		# shellcheck disable=SC2086
		run --separate-stderr strace -f -o /dev/null -e trace=getrandom \
			-e inject=getrandom:error=EIO "$P/bin/"$tool
		equal 75 "$status" "$tool: $stderr"
	done
	equal 0 "$(sink_count connections)"
	waiting 1
	deliver
	all_final 1
}

# ---- V18: requests and the trigger ----------------------------------------

# request: the path of the next request file.
request() {
	N=$((N + 1))
	F=$(printf '%s/spool/control/01lgcm2v2h8qku4o3j%03d.req' "$P" $N)
}

# What nobody of ours writes into control/.
garbage() {
	local text
	N=0
	for text in '' 'x' '\n' '\0' 'vmta-request 1' 'vmta-request 1\n' \
		'vmta-request 2\ncommand: delete\noption: all=yes\n' \
		'vmta-request 1\ncommand\n' 'vmta-request 1\ncommand: \n' \
		'vmta-request 1\ncommand: shutdown\n' \
		'vmta-request 1\ncommand: delete\noption: \n' \
		'vmta-request 1\ncommand: delete\noption: =\n' \
		'vmta-request 1\ncommand: delete\noption: foo=bar\n' \
		'vmta-request 1\ncommand: hold\noption: state=x\n' \
		'vmta-request 1\ncommand: hold\noption: older-than=x\n' \
		'vmta-request 1\ncommand: %%n%%n\noption: \033[2J\n' \
		'option: all=yes\ncommand: delete\n'; do
		request
		# shellcheck disable=SC2059
		printf "$text" >"$F"
	done
	request
	head -c 1000000 /dev/urandom >"$F"
	request
	{
		printf 'vmta-request 1\ncommand: hold\n'
		for text in $(seq 20000); do echo "option: rcpt=*$text*a*b*c*"; done
	} >"$F"
	request && mkfifo "$F"
	request && mkdir "$F"
	request && ln -s /dev/zero "$F"
	request && ln -s "$P/none" "$F"
	: >"$F."
	: >"$P/spool/control/not-an-id.req"
	: >"$P/spool/control/"$'\033]0;x\a.req'
	mkdir "$P/spool/control/.req"
}

# lock_requests: without a lock they are nobody's, and are not read.
lock_requests() {
	start lock python3 -c '
import fcntl, glob, os, signal, stat, sys
files = []
for path in glob.glob(sys.argv[1] + "/spool/control/*.req"):
    if os.path.exists(path) and stat.S_ISREG(os.lstat(path).st_mode):
        files.append(open(path, "r+b"))
        fcntl.lockf(files[-1], fcntl.LOCK_EX)
open(sys.argv[1] + "/locked", "w").close()
signal.pause()' "$P"
}

# bats test_tags=slow
@test "V18: garbage in control/ does not hurt a running daemon" {
	start_sink
	rconf1
	start_daemon
	garbage
	lock_requests
	wait_until [ -e "$P/locked" ]
	send a@x.example
	wait_until sink_has 1
	# a real request among it is answered
	send --at '2100-01-01 00:00:00' later@x.example
	equal '1 of 1 recipients' "$(vqueue hold --domain x.example)"
	alive "$RUNQ_PID"
	equal '1 of 1 recipients' "$(vqueue delete --domain x.example)"
	end "$RUNQ_PID"
	end "$STARTED"
	refute grep -q $'\033' "$P/log/vmta.log"
	all_final 2
}

@test "V18: garbage in the trigger, and a trigger that changes, do no harm" {
	local n=0 t=$P/spool/trigger
	start_sink
	rconf1
	start_daemon
	for how in 'printf x >>$t' 'printf "\n\n\0\n" >>$t' \
		'head -c 5000 /dev/urandom >>$t' 'head -c 300000 /dev/zero >>$t' \
		': >$t' 'printf "vmta-trigger x\n" >$t' \
		'printf "../../x/v1\nx.example/../v1\n*/..\n%%n/%%n\n" >>$t' \
		'rm $t' 'until rm -f $t; mkfifo $t 2>/dev/null; do :; done' \
		'ln -sf /etc/passwd $t' 'echo own >$P/own; ln -f $P/own $t' \
		'mv $t $t.old' \
		'until rm -f $t; mkdir $t 2>/dev/null; do :; done; rmdir $t'
	do
		eval "$how"
		n=$((n + 1))
		send "u$n@x.example"
		wait_until sink_has $n || fail "after: $how" || return 1
		alive "$RUNQ_PID" || fail "after: $how" || return 1
	done
	equal own "$(cat "$P/own")"
	end "$RUNQ_PID"
	arrived $n
	all_final $n
}

# ---- V19: signals ---------------------------------------------------------

# storm RUNS SIGNALS [OPTION...] -- COMMAND...: see storm.py; output in $R.storm
storm() {
	local runs=$1 signals=$2 seed
	shift 2
	seed=${VMTA_SEED:-$((RANDOM * 32768 + RANDOM))}
	echo "VMTA_SEED=$seed"
	python3 "$HELPER/storm.py" --runs "$runs" --seed "$seed" \
		--signals "$signals" "$@" >"$R.storm" 2>"$R.err" ||
		fail "a run hangs: $(cat "$R.storm")"
}

# The ends of a storm's runs, each with how often.
ends() {
	sed 's/.* //' "$R.storm" | sort | uniq -c | xargs
}

# stormy N: there were so many runs. How many it takes until all is sent depends
# on how late the signals come, on a loaded machine.
stormy() {
	[ "$(wc -l <"$R.storm")" -ge "$1" ] || fail "ends: $(ends)"
}

# bats test_tags=slow
@test "V19: a storm of signals that are for it: each message once, exit 0" {
	local runs=${VMTA_STORM:-60} n
	n=$((runs * 8))
	start_sink --delay 'bdat 20'
	rconf1 'max-smtp-out = 1'
	send_many 1 $n a.example b.example c.example d.example
	# a second TERM or INT ends at once: so one of the two
	storm $runs TERM,HUP,CHLD,PIPE,WINCH --last TERM \
		--burst 8 --within 120 --until '[ "$(vmta-queue count)" = 0 ]' \
		-- "$P/bin/vmta-runq"
	# before the signals are taken over they kill, as everywhere
	refute grep -vE '^[0-9]+ (0|-1|-13|-15)$' "$R.storm"
	stormy 8
	rconf1 'max-smtp-out = 50'
	deliver
	all_final $n
	arrived $n
}

# bats test_tags=slow
@test "V19: the same with three workers: TERM and HUP reach them" {
	local runs=${VMTA_STORM:-40} n i each
	each=$((runs * 3))
	n=$((each * 6))
	start_sink --delay 'bdat 20'
	for i in 1 2 3 4 5 6; do
		echo "virtual-mta v$i { smtp-source-host = '127.9.$i.7 v$i.example' }"
	done | rconf 'max-smtp-out = 1'
	for i in 1 2 3 4 5 6; do
		send_many $((i * each - each + 1)) $((i * each)) a.example \
			b.example -- --vmta v$i
	done
	storm $runs TERM,HUP,CHLD,PIPE,WINCH --last TERM --burst 6 \
		--within 120 --until '[ "$(vmta-queue count)" = 0 ]' \
		-- "$P/bin/vmta-runq" --workers 3
	refute grep -vE '^[0-9]+ (0|-1|-13|-15)$' "$R.storm"
	stormy 6
	deliver --workers 3
	all_final $n
	arrived $n
}

# bats test_tags=slow
@test "V19: signals that kill: nothing is lost, little is doubled" {
	local runs=${VMTA_STORM:-60} n
	n=$((runs * 6))
	start_sink --delay 'bdat 20'
	rconf1 'max-smtp-out = 1'
	send_many 1 $n a.example b.example c.example d.example
	storm $runs TERM,HUP,CHLD,ALRM,PIPE,USR1,WINCH,HUP --last ALRM \
		--burst 4 --within 120 --until '[ "$(vmta-queue count)" = 0 ]' \
		-- "$P/bin/vmta-runq"
	refute grep -vE '^[0-9]+ (0|-1|-10|-13|-14|-15)$' "$R.storm"
	[ "$(grep -c ' -1[04]$' "$R.storm")" -ge 3 ] || fail "ends: $(ends)"
	rconf1 'max-smtp-out = 50'
	deliver
	all_final $n
	sink_strict
	sink_log msg | grep 'reply=2' | field rcpt | sort >"$R"
	equal $n "$(sort -u "$R" | wc -l)" 'recipients that arrived'
	# 4 sessions, and of each the messages of one group of results: 50 ms,
	# and as long as the disk takes; the stated window is 256
	[ $(($(wc -l <"$R") - n)) -le $((40 * $(grep -c ' -' "$R.storm"))) ] ||
		fail "$(($(wc -l <"$R") - n)) doubled, ends: $(ends)"
}

@test "V19: TERM to a run that has just begun, and to one of three workers" {
	local i rc
	start_sink
	rconf1
	send a@x.example
	for i in $(seq 10); do
		start_runq --daemon --workers 3
		kill -s TERM "$RUNQ_PID" || true
		# it may not have got as far as to take it
		rc=0
		ended "$RUNQ_PID" || rc=$?
		[ $rc = 0 ] || [ $rc = 143 ] || fail "exit $rc"
	done
	# a caller that ignores SIGCHLD: the end of workers is seen all the same
	timeout 300 env --ignore-signal=CHLD "$P/bin/vmta-runq" --workers 3
	all_final 1
}

# ---- V22: shortage --------------------------------------------------------

@test "V22: few descriptors: it drains, or says that they are too few" {
	leaks_unseen
	local n code done=0
	need_command prlimit
	start_sink
	rconf1 'max-smtp-out = 20'
	for n in 8 16 24 32 40 48 56 64 96; do
		rm -rf "${P:?}/spool"
		send_many 1 100 a.example b.example c.example
		code=0
		timeout 300 prlimit --nofile=$n:$n "$P/bin/vmta-runq" 2>"$R" \
			3>&- 4>&- || code=$?
		case $code in
		0)
			waiting 0 || fail "$n descriptors" || return 1
			done=$((done + 1))
			;;
		75)
			waiting 100 || fail "$n descriptors" || return 1
			grep -q '^vmta-runq: ' "$R" || fail "$n: $(cat "$R")"
			;;
		*) fail "$n descriptors: exit $code, $(cat "$R")" ;;
		esac
		settled
	done
	[ $done -ge 3 ] || fail "drained with $done of them"
	sink_strict
	equal $((100 * done)) "$(sink_count messages)"
	equal 0 "$(sink_count lost)"
}

@test "V22: more hosts than descriptors: each queue has its turn" {
	local i domains=() listen=(-l 127.3.0.1:0)
	leaks_unseen
	need_command prlimit
	for i in $(seq 2 60); do
		listen+=(-l "127.3.0.$i:=")
	done
	start_sink "${listen[@]}" --delay 'mail 20'
	for i in $(seq 60); do
		domains+=("d$i.example")
		echo "domain 'd$i.example' { smtp-hosts = '[127.3.0.$i]:$SINK_PORT' }"
	done >"$R"
	echo "virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }" |
		cat - "$R" | rconf 'max-smtp-out = 20'
	send_many 1 240 "${domains[@]}"
	timeout 300 prlimit --nofile=96:96 "$P/bin/vmta-runq" 3>&- 4>&-
	settled
	all_final 240
	sink_strict
}

@test "V22: without memory for its threads nothing is sent: 75" {
	need_plain 'memory is limited'
	local mib code
	need_command prlimit
	start_sink
	rconf1
	send_many 1 50 a.example b.example
	for mib in 32 64 100; do
		code=0
		timeout 300 prlimit --as=$((mib << 20)) "$P/bin/vmta-runq" 2>"$R" ||
			code=$?
		equal 75 $code "$mib MiB: $(cat "$R")"
	done
	equal 0 "$(sink_count messages)"
	waiting 50
	deliver
	all_final 50
	arrived 50
}

# ---- V23: other runners, copies, backups ----------------------------------

# bats test_tags=slow
@test "V23: two runners on one spool, again and again: each message once" {
	local n=0 i a b rounds=${VMTA_ROUNDS:-25}
	start_sink
	for i in 1 2 3 4; do
		echo "virtual-mta v$i { smtp-source-host = '127.9.$i.7 v$i.example' }"
	done | rconf 'max-smtp-out = 2'
	for i in $(seq $rounds); do
		send_many $((n + 1)) $((n + 20)) a.example b.example -- \
			--vmta "v$((i % 4 + 1))"
		n=$((n + 20))
		start a "$P/bin/vmta-runq" --workers $((i % 3 + 1))
		a=$STARTED
		start b "$P/bin/vmta-runq" --workers $((i % 2 + 1))
		b=$STARTED
		[ $((i % 3)) != 0 ] || kill -s TERM "$a" || true
		ended "$b" || [ $? = 143 ]
		ended "$a" || [ $? = 143 ] # TERM before it is taken over
	done
	deliver
	all_final $n
	arrived $n
}

# bats test_tags=slow
@test "V23: two runners, killed again and again: none lost" {
	local n=600 i a b kills=${VMTA_KILLS:-15}
	start_sink --delay 'bdat 5'
	for i in 1 2 3 4; do
		echo "virtual-mta v$i { smtp-source-host = '127.9.$i.7 v$i.example' }"
	done | rconf 'max-smtp-out = 2'
	for i in 1 2 3 4; do
		send_many $((i * 150 - 149)) $((i * 150)) a.example b.example -- \
			--vmta v$i
	done
	for i in $(seq $kills); do
		start a "$P/bin/vmta-runq"
		a=$STARTED
		start b "$P/bin/vmta-runq"
		b=$STARTED
		wait_until sink_has $((i * 10)) || true
		kill -s KILL "$a" "$b" 2>/dev/null || true
		wait "$a" "$b" 2>/dev/null || true
	done
	deliver
	all_final $n
	sink_log msg | grep 'reply=2' | field rcpt | sort >"$R"
	equal $n "$(sort -u "$R" | wc -l)" 'recipients that arrived'
	# 8 queues of 2 connections, and of each the messages of one group of
	# results (50 ms of 5 ms each); the stated window is 256
	[ $(($(wc -l <"$R") - n)) -le $((160 * kills)) ] ||
		fail "$(($(wc -l <"$R") - n)) doubled"
}

@test "V23: locks of the dead keep nobody out" {
	start_sink --delay 'bdat 200'
	rconf1 'max-smtp-out = 2'
	send_many 1 6 a.example
	start_runq
	wait_until sink_has 1
	kill -s KILL "$RUNQ_PID"
	wait "$RUNQ_PID" || true
	# files that look like locks are none
	: >"$P/spool/state/owners.lock"
	echo 1 >"$P/spool/state/owners"
	deliver
	all_final 6
}

# has_ended N: so many are delivered, says the journal (for wait_until).
has_ended() {
	[ "$(journal type type=d | wc -l)" -ge "$1" ]
}

@test "V23: what a crash took from a batch is in the journal: none twice" {
	start_sink
	rconf1
	send_many 1 6 a.example
	cp -a "$P/spool/queue" "$P/before"
	start_daemon
	wait_until has_ended 6
	kill -s KILL "$RUNQ_PID"
	wait "$RUNQ_PID" || true
	rm -rf "$P/spool/queue"
	mv "$P/before" "$P/spool/queue"
	deliver
	nothing_waits
	arrived 6
	equal 6 "$(sink_count messages)"
	equal 6 "$(journal type type=d | wc -l)"
}

# bats test_tags=slow
@test "V23: a spool that was copied while live runs elsewhere: none lost" {
	local n=400
	start_sink --delay 'bdat 10'
	rconf1 'max-smtp-out = 4'
	send_many 1 $n a.example b.example c.example
	start_runq
	wait_until sink_has 100
	# tar says that files change under it: so they do
	mkdir "$P/copy"
	tar -C "$P/spool" -cf - . 2>/dev/null | tar -C "$P/copy" -xf -
	kill -s KILL "$RUNQ_PID" || true # where tar was slow
	wait "$RUNQ_PID" || true
	mv "$P/spool" "$P/lost"
	mv "$P/copy" "$P/spool"
	"$P/bin/vmta-check" spool --repair >"$R" || fail "$(cat "$R")"
	# what was missed by the copy, or caught half, was on its way at that time
	deliver
	nothing_waits
	sink_strict
	sink_log msg | grep 'reply=2' | field rcpt | sort -u >"$R"
	equal $n "$(wc -l <"$R")" 'recipients that arrived'
}

@test "V23: from an old backup, what was sent since is sent again, no more" {
	start_sink
	rconf1
	send_many 1 10 a.example b.example
	deliver
	send_many 11 20 a.example b.example
	cp -a "$P/spool" "$P/backup"
	deliver
	arrived 20
	rm -rf "${P:?}/spool"
	mv "$P/backup" "$P/spool"
	deliver
	sink_log msg | field rcpt | tr -d '<>' | sort | uniq -c |
		awk '{ print $1 }' | sort | uniq -c | xargs >"$R"
	# ten once, ten twice; the exports say so too
	equal '10 1 10 2' "$(cat "$R")"
	nothing_waits
}
