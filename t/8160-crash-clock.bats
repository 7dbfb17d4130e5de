# The clock of the machine set forward and back by a day, between runs and
# under a daemon: nothing bounces by that, nothing waits longer than the
# ladder's longest step.

load helper/common
load helper/runq

setup() {
	need_command faketime
	need_plain 'libfaketime comes before the sanitizer'
	make_prefix
}

teardown() {
	end_test
}

# at DAYS COMMAND...: with the clock so many days off. Monotonic time is real.
at() {
	FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f "$1d" "${@:2}"
}

@test "clock: mail that waits, a day forward and back, bounces not" {
	start_sink --reply 'rcpt:* per-rcpt first=2 451 4.7.1 Later'
	rconf1 'retry-after = 10m' 'bounce-after = 2d'
	send r1@a.example r2@b.example
	at +0 "$P/bin/vmta-runq"
	waiting 2
	at +1 "$P/bin/vmta-runq"
	waiting 2
	equal '' "$(journal type type=b)" bounced
	at -1 "$P/bin/vmta-runq"
	deliver --now
	all_final 2
	equal 2 "$(journal type type=d | wc -l)" delivered
}

@test "clock: a due time of a day ahead is due when the clock is right again" {
	start_sink --reply 'rcpt:* per-rcpt first=1 451 4.7.1 Later'
	rconf1 'retry-after = 10m' 'bounce-after = 4d'
	send r1@a.example
	at +1 "$P/bin/vmta-runq"
	waiting 1
	deliver
	all_final 1
}

@test "clock: what was queued in the future leaves now" {
	start_sink
	rconf1 'retry-after = 10m'
	message | at +1 "$P/bin/vmta-inject" -f s@sender.example r1@a.example
	message | at -1 "$P/bin/vmta-inject" -f s@sender.example r2@a.example
	deliver
	all_final 2
}
