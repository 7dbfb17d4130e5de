# kill -9 of vmta-inject --bsmtp --submit-id at random moments, each call
# repeated until it ends with 0: every recipient is in the spool exactly once.
# (t/2010 kills one long stream again and again, t/8100 beside a daemon.)
#
# VMTA_KILLS: how many kills that find it alive (12; 100 with
# VMTA_CRASH_FULL=1). VMTA_SEED repeats the moments, as far as the machine does.
# bats file_tags=slow

load helper/common
load helper/inject
load helper/crash
bats_require_minimum_version 1.5.0

MESSAGES=2000 # of a stream: eight commits

setup() {
	make_prefix
	iconf
	KILLS=${VMTA_KILLS:-12}
	[ -z "${VMTA_CRASH_FULL:-}" ] || KILLS=${VMTA_KILLS:-100}
	crash_seed
	# to wait without a process, which takes longer than a call
	exec {NEVER}<> <(:)
}

teardown() {
	end_test
}

# stream NUMBER: its messages have numbers of their own.
stream() {
	awk -v n=$MESSAGES -v s="$1" 'BEGIN {
		for (i = 1 + (s - 1) * n; i <= s * n; i++)
			printf "MAIL FROM:<s@y.example>\nRCPT TO:<u%d@d%d." \
			    "example>\nDATA\nSubject: number %d\n\nbody %d\n" \
			    ".\n", i, i % 5, i, i
	}'
}

# submit NUMBER: the call; its exit code.
submit() {
	"$P/bin/vmta-inject" --vmta even --bsmtp --submit-id "key $1" \
		"$BATS_TEST_TMPDIR/stream" >/dev/null 2>"$BATS_TEST_TMPDIR/err"
}

now_ms() {
	local now=${EPOCHREALTIME/[.,]/}
	echo $((now / 1000))
}

# killed NUMBER MS: the call, killed after so many milliseconds; was it? It
# is waited for: its locks live as long as its last thread.
killed() {
	local pid
	"$P/bin/vmta-inject" --vmta even --bsmtp --submit-id "key $1" \
		"$BATS_TEST_TMPDIR/stream" >/dev/null 2>&1 &
	pid=$!
	own $pid
	read -r -t "$(printf '%d.%03d' $(($2 / 1000)) $(($2 % 1000)))" \
		<&"$NEVER" || true
	kill -s KILL $pid 2>/dev/null || true
	! wait $pid 2>/dev/null
}

@test "KILLINJECT: killed at random moments and repeated: each recipient once" {
	local i tries length start cut=0 all lost doubled
	stream 1 >"$BATS_TEST_TMPDIR/stream"
	start=$(now_ms)
	submit 1
	length=$(($(now_ms) - start + 1))
	for ((i = 2; cut < KILLS; i++)); do
		[ $i -le $((KILLS * 10)) ] || fail "$cut of $((i - 2)) landed"
		stream $i >"$BATS_TEST_TMPDIR/stream"
		tries=0
		! killed $i $((RANDOM % length)) || cut=$((cut + 1))
		until submit $i; do
			tries=$((tries + 1))
			[ $tries -lt 20 ] ||
				fail "key $i: $(cat "$BATS_TEST_TMPDIR/err")"
		done
	done
	all=$((MESSAGES * (i - 1)))
	numbers >"$BATS_TEST_TMPDIR/found"
	lost=$(seq $all | sort | comm -23 - <(sort -u "$BATS_TEST_TMPDIR/found") |
		wc -l)
	doubled=$(($(wc -l <"$BATS_TEST_TMPDIR/found") - all + lost))
	tally "kills=$cut" "recipients=$all" "duplicates=$doubled" \
		"lost=$lost"
	equal 0 "$lost" lost
	equal 0 "$doubled" doubled
	"$P/bin/vmta-check" spool --repair >/dev/null || true
	"$P/bin/vmta-check" spool
}
