# A hostile spool: links, FIFOs, devices and directories where vmta expects
# files; batch files that somebody changed; copies and old backups.

load helper/common
load helper/inject
load helper/runq
bats_require_minimum_version 1.5.0

ID=01lgcm2v2h8qku4o3jccu
NAME=20201123T215405Z-050-$ID-1-100-00000000

setup() {
	make_prefix
	start_sink
	rconf1 'max-smtp-out = 2' 'retry-after = 1h'
}

teardown() {
	end_test
}

# ---- planted things -------------------------------------------------------

# A spool that has been used, with one message in it, kept as a model.
model() {
	send one@x.example
	deliver
	send two@x.example
	vqueue pause --job none >/dev/null
	cp -a "$P/spool" "$P/model"
	echo victim >"$P/victim"
	mkdir "$P/victims"
	ARRIVED=$(sink_count messages)
}

# plant KIND PATH: put it there; what was there goes aside.
plant() {
	local f=$P/spool/$2
	rm -rf "$P/aside"
	mkdir -p "$(dirname "$f")"
	[ ! -e "$f" ] || mv "$f" "$P/aside"
	case $1 in
	symlink) ln -s "$P/victim" "$f" ;;
	dirlink) ln -s "$P/victims" "$f" ;;
	hard) ln "$P/victim" "$f" ;;
	fifo) mkfifo "$f" ;;
	dir) mkdir "$f" ;;
	dev) mknod "$f" c 1 3 ;;
	sock) python3 -c 'import os, socket, sys
os.chdir(os.path.dirname(sys.argv[1])) # a long path is none
socket.socket(socket.AF_UNIX).bind(os.path.basename(sys.argv[1]))' "$f" ;;
	file) echo planted >"$f" ;;
	esac
	PLANTED=$(stat -c '%F %i' "$f")
}

# Is it there still?
planted() {
	[ "$(stat -c '%F %i' "$P/spool/$1" 2>/dev/null)" = "$PLANTED" ]
}

# lift PATH: away with it, back with what was there.
lift() {
	! planted "$1" || rm -rf "${P:?}/spool/$1"
	[ ! -e "$P/aside" ] || [ -e "$P/spool/$1" ] || mv "$P/aside" "$P/spool/$1"
}

# tool WHAT COMMAND...: it must end, by itself, and when it fails with a line.
tool() {
	local what=$1
	shift
	CODE=0
	timeout -k 1 60 "$@" >"$P/out" 2>"$P/err" </dev/null || CODE=$?
	case $CODE in
	0 | 1) return ;;
	6[4-9] | 7[0-8]) ;;
	*) fail "$what: ${1##*/}: exit $CODE, $(cat "$P/err")" || return 1 ;;
	esac
	[ "$(wc -l <"$P/err")" -ge 1 ] || fail "$what: ${1##*/} $2: says nothing"
}

# try_planted KIND PATH...: all tools with such a thing at each path.
try_planted() {
	local kind=$1 path n=0 want
	shift
	model
	for path; do
		rm -rf "${P:?}/spool"
		cp -a "$P/model" "$P/spool"
		plant "$kind" "$path"
		try_tools "$kind at $path" "$path" || return 1
		equal victim "$(cat "$P/victim")" "the victim of $kind at $path"
		equal '' "$(ls "$P/victims")" "the victim of $kind at $path"
		lift "$path"
		rm -rf "$P/spool/bad"/*
		runq 2>"$P/err" || fail "$kind at $path: after: $(cat "$P/err")"
		want=$((ARRIVED + 1 + ACCEPTED))
		ARRIVED=$(sink_count messages)
		equal $want "$ARRIVED" "$kind at $path: messages that arrived" ||
			return 1
		waiting 0 || return 1
	done
	sink_strict
}

# try_tools WHAT PATH
try_tools() {
	local how
	ACCEPTED=0
	tool "$1" "$P/bin/vmta-check" spool || return 1
	# what is in bad/ is for a person anyway, and may be anything
	if planted "$2" && [ "$2" != bad/x ]; then
		grep -qF -- "${2##*/}" "$P/out" "$P/err" ||
			fail "$1: vmta-check spool does not name it" || return 1
	fi
	for how in 'three@w.example' '--submit-id k four@w.example' \
		'five@w.example six@x.example'; do
		CODE=0
		# shellcheck disable=SC2086
		message | timeout -k 1 60 "$P/bin/vmta-inject" -f s@sender.example \
			$how >"$P/out" 2>"$P/err" || CODE=$?
		case $CODE in
		0) ACCEPTED=$((ACCEPTED + 1)) ;;
		7[0-8]) [ "$(wc -l <"$P/err")" = 1 ] || fail "$1: $(cat "$P/err")" ;;
		*) fail "$1: vmta-inject $how: exit $CODE, $(cat "$P/err")" ;;
		esac || return 1
		[ $CODE != 0 ] || [ "${how##*six*}" ] || ACCEPTED=$((ACCEPTED + 1))
	done
	tool "$1" "$P/bin/vmta-queue" list &&
		tool "$1" "$P/bin/vmta-report" status &&
		tool "$1" "$P/bin/vmta-report" summary &&
		tool "$1" "$P/bin/vmta-queue" hold --domain none.example &&
		tool "$1" "$P/bin/vmta-runq" &&
		tool "$1" "$P/bin/vmta-check" spool --repair
}

# Where files are.
FILES=(trigger state/owners state/pauses state/config.img state/submit/.lock
	state/retry/v1/x.example state/live.x "acct/$ID.live" "acct/$ID.csv"
	"control/$ID.req" "control/$ID.w.rep" "commit/$ID" "content/$ID-$ID"
	"queue/v1/tmp/$NAME" "queue/v1/new/x.example/$NAME" bad/x)
# Where directories are.
DIRS=(queue/v1 queue/v1/tmp queue/v1/new queue/v1/cur queue/v1/new/x.example
	queue/v2 state/retry state/submit state/export commit content acct control
	state bad pickup queue)

@test "V09: a FIFO or a hard link at the trigger, in the journal, at pauses" {
	try_planted fifo trigger acct/$ID.live acct/$ID.csv state/pauses \
		queue/v1/new/x.example/$NAME
}

@test "V09: a hard link where vmta writes in place" {
	try_planted hard trigger acct/$ID.live state/owners
}

# bats test_tags=slow
@test "V09: a FIFO at every path" {
	try_planted fifo "${FILES[@]}" "${DIRS[@]}"
}

# bats test_tags=slow
@test "V09: a symbolic link at every path of a file" {
	try_planted symlink "${FILES[@]}"
}

# bats test_tags=slow
@test "V09: a symbolic link at every path of a directory" {
	try_planted dirlink "${DIRS[@]}"
}

# bats test_tags=slow
@test "V09: a hard link at every path of a file" {
	try_planted hard "${FILES[@]}"
}

# bats test_tags=slow
@test "V09: a directory at every path of a file, a file at every directory's" {
	try_planted dir "${FILES[@]}"
	rm -rf "$P/model" "$P/victims" "$P/spool" "$P/aside"
	try_planted file "${DIRS[@]}"
}

# bats test_tags=slow
@test "V09: a socket and a device at every path of a file" {
	need_root
	try_planted sock "${FILES[@]}"
	rm -rf "$P/model" "$P/victims" "$P/spool" "$P/aside"
	try_planted dev "${FILES[@]}"
}

@test "V09: a domain that is blocked keeps only its own mail waiting" {
	local blocked
	for blocked in a.example m.example z.example; do
		rm -rf "${P:?}/spool"
		ARRIVED=$(sink_count messages)
		send one@x.example
		echo planted >"$P/spool/queue/v1/new/$blocked"
		# three queues: accepted, by a record that cannot be done
		send u@a.example u@m.example u@z.example
		equal 1 "$(find "$P/spool/commit" -type f | wc -l)"
		run --separate-stderr "$P/bin/vmta-runq"
		equal 74 "$status" "$blocked: $stderr"
		equal 1 "${#stderr_lines[@]}" "$stderr"
		[[ $stderr == *"$blocked"* ]] || fail "$stderr"
		equal $((ARRIVED + 3)) "$(sink_count messages)" "$blocked"
		refute "$P/bin/vmta-check" spool >"$P/out"
		grep -q "^queue/v1/new/$blocked" "$P/out" || fail "$(cat "$P/out")"
		rm "$P/spool/queue/v1/new/$blocked"
		deliver
		equal $((ARRIVED + 4)) "$(sink_count messages)" "$blocked"
		waiting 0
	done
	sink_strict
}

@test "V18: no tool works in a spool that others can write in or own" {
	local dir tool
	send one@x.example
	for dir in . queue state acct control commit content bad pickup; do
		chmod g+w "$P/spool/$dir"
		for tool in vmta-runq 'vmta-runq --dry-run' 'vmta-queue list' \
			'vmta-queue hold --all' 'vmta-report status' 'vmta-check spool'; do
			# each directory, and each tool, once
			[ "$dir" = . ] || [ "$tool" = vmta-runq ] || continue
			# shellcheck disable=SC2086
			run --separate-stderr "$P/bin/"$tool
			equal 78 "$status" "$tool, $dir: $stderr"
			equal 1 "${#stderr_lines[@]}" "$tool: $stderr"
			[[ $stderr == *'writable by group or others'* ]] || fail "$stderr"
		done
		chmod g-w "$P/spool/$dir"
	done
	waiting 1
	deliver
	all_final 1
}

@test "V18: vmta-check spool names owners and modes further down" {
	need_root
	need_user nobody
	send one@x.example
	"$P/bin/vmta-check" spool
	chmod 0777 "$P/spool/queue/v1/new"
	chown nobody "$P/spool/queue/v1/new/x.example" "$P/spool/trigger"
	run --separate-stderr "$P/bin/vmta-check" spool
	equal 1 "$status"
	equal 3 "${#lines[@]}" "$output"
	grep -qx $'queue/v1/new\ta directory that others may write in' <<<"$output"
	grep -qx $'queue/v1/new/x.example\tbelongs to another user' <<<"$output"
	grep -qx $'trigger\tbelongs to another user' <<<"$output"
	chown nobody "$P/spool/queue/v1/new/x.example"/*
	runq
	grep -q 'not a regular file of our own' "$P/spool/bad"/*.why
	equal 0 "$(sink_count messages)"
}
