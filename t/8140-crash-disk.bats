# A disk that fills up: space, and inodes, in the middle of an injection and of
# a run; an accounting file on a full disk. On a journaled ext4 of its own.
# bats file_tags=slow

load helper/common
load helper/runq
load helper/crash
bats_require_minimum_version 1.5.0

setup() {
	need_root
	need_command mkfs.ext4
	make_prefix
	crash_seed
}

teardown() {
	[ ! -d "$P/full" ] || umount "$P/full" 2>/dev/null || true
	end_spool
	end_test
}

# small_disk: a configuration that uses a small disk to its end, but for what
# two commits under way and a journal need.
small_disk() {
	rconf1
	printf '%s\n' 'min-free-space = 10M' 'min-free-inodes = 0' \
		>>"$P/etc/vmta.conf"
}

# large FIRST LAST SIZE DOMAINS: a stream of messages of that many octets.
large() {
	awk -v first="$1" -v last="$2" -v size="$3" -v domains="$4" 'BEGIN {
		line = sprintf("%070d", 0)
		for (i = first; i <= last; i++) {
			print "MAIL FROM:<s@sender.example>"
			printf "RCPT TO:<r%d@d%d.example>\nDATA\n", i,
			    i % domains
			printf "Subject: %d\n\n", i
			for (n = 0; n < size; n += 71)
				print line
			print "."
		}
	}'
}

# feed_all FILE: the stream, again and again with one submit id, and a run
# whenever the disk is full, until all of it was taken. At least once it was.
feed_all() {
	local code full=0
	while :; do
		code=0
		inject --bsmtp --submit-id all "$1" >"$P/said" 2>"$P/err" ||
			code=$?
		[ $code != 0 ] || break
		equal 75 "$code" "exit code ($(cat "$P/err"))"
		full=$((full + 1))
		[ $full -lt 100 ] || fail 'always full'
		deliver
	done
	echo "# full $full times" >&3
	[ $full -gt 0 ]
}

@test "space ends in mid-injection, again and again: all arrive once" {
	loop_spool 32M
	start_sink
	small_disk
	large 1 6000 10000 10 >"$P/stream"
	feed_all "$P/stream"
	deliver
	all_final 6000
	each_taken 6000 0
	equal '' "$(vmta-check spool)" 'vmta-check spool'
}

@test "inodes end in mid-injection, again and again: all arrive once" {
	loop_spool 32M -N 400
	start_sink
	small_disk
	large 1 2000 100 100 >"$P/stream"
	feed_all "$P/stream"
	deliver
	all_final 2000
	each_taken 2000 0
	equal '' "$(vmta-check spool)" 'vmta-check spool'
}

# leave_inodes N: what is left but N is taken.
leave_inodes() {
	local n
	mkdir -p "$P/spool/ballast"
	n=$(($(df --output=iavail "$P/spool" | tail -n 1) - $1))
	[ $n -le 0 ] || (cd "$P/spool/ballast" &&
		seq -f "$1-%g" $n | xargs touch)
	equal "$1" "$(df --output=iavail "$P/spool" | tail -n 1 | xargs)"
}

@test "64 inodes are left, an injection takes them; then a run with 0" {
	local code=0 n
	loop_spool 32M -N 1000
	start_sink
	small_disk
	send_many 1 200 a.example b.example
	leave_inodes 64
	large 201 700 100 100 >"$P/stream"
	inject --bsmtp --submit-id all "$P/stream" >"$P/said" 2>"$P/err" ||
		code=$?
	equal 75 "$code" "exit code ($(cat "$P/err"))"
	equal 1 "$(wc -l <"$P/err")" 'lines of it'
	leave_inodes 0
	code=0
	timeout 60 "$P/bin/vmta-runq" 2>"$P/err" || code=$?
	case $code in
	0) ;;
	75) equal 1 "$(wc -l <"$P/err")" 'lines of it' ;;
	*) fail "exit $code: $(cat "$P/err")" ;;
	esac
	rm -r "$P/spool/ballast"
	inject --bsmtp --submit-id all "$P/stream" >"$P/said"
	equal 'accepted 500 rejected 0 suppressed 0' "$(cat "$P/said")"
	deliver
	all_final 700
	each_taken 700 0 faults=2
	accounts 700
	equal '' "$(vmta-check spool)" 'vmta-check spool'
}

@test "inodes end in mid-run: nothing is lost, nothing twice, all leave" {
	loop_spool 32M -N 1000
	start_sink --delay 'bdat 20'
	small_disk
	large 1 600 100 4 | inject --bsmtp >/dev/null
	start_runq
	wait_until sink_has 50
	# beside a run that takes and frees some: as many as it leaves
	mkdir "$P/spool/ballast"
	(cd "$P/spool/ballast" && seq 1000 | xargs touch) 2>/dev/null || true
	ended "$RUNQ_PID" || true
	rm -r "$P/spool/ballast"
	deliver --now
	all_final 600
	each_taken 600 0 faults=1
	accounts 600
	equal '' "$(vmta-check spool)" 'vmta-check spool'
}

@test "space ends in mid-run: nothing is lost, nothing twice, all leave" {
	loop_spool 32M
	start_sink --delay 'bdat 20'
	small_disk
	large 1 1000 10000 4 | inject --bsmtp >/dev/null
	start_runq
	wait_until sink_has 50
	# with what an attacker, or a log, would do
	head -c 40M /dev/zero >"$P/spool/ballast" 2>/dev/null || true
	ended "$RUNQ_PID" || true
	rm "$P/spool/ballast"
	deliver --now
	all_final 1000
	each_taken 1000 0
	equal '' "$(vmta-check spool)" 'vmta-check spool'
}

@test "no room for a journal: a run ends with 75, later all leave" {
	loop_spool 32M
	start_sink
	small_disk
	send_many 1 100 a.example b.example
	fallocate -l "$(($(df --output=avail -B1 "$P/spool" | tail -n 1) - \
		2000000))" "$P/spool/ballast"
	run -75 timeout 60 "$P/bin/vmta-runq"
	equal 'vmta-runq: begin a journal segment: No space left on device' \
		"$output"
	equal 0 "$(sink_count messages)" 'messages sent'
	settled
	rm "$P/spool/ballast"
	deliver
	all_final 100
	each_taken 100 0
}

@test "an accounting file on a full disk: mail goes, the file catches up" {
	mkdir "$P/full"
	mount -t tmpfs -o size=64k vmta-test "$P/full" 2>/dev/null ||
		skip 'needs to mount a tmpfs'
	start_sink
	rconf1
	sed -i "s|^acct-file.*|acct-file '$P/full/acct.csv' { records = {d, b} }|" \
		"$P/etc/vmta.conf"
	send_many 1 2000 a.example b.example
	runq 2>"$P/err" || true
	nothing_waits
	each_taken 2000 0
	mount -o remount,size=16m "$P/full"
	deliver
	accounts 2000 "$P"/full/acct*.csv
}
