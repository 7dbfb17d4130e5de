# What others, or a disk, did to a spool: it is read-only, belongs to somebody
# else, holds foreign files, or a batch that is broken. Nothing is lost, the
# tools say what is wrong, and what is whole leaves. (t/1100 plants every kind
# of thing at every path.)
# bats file_tags=slow

load helper/common
load helper/runq
load helper/crash
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
	crash_seed
	start_sink
}

teardown() {
	end_test
	end_spool
}

@test "a read-only spool: injector and run end with 75, later all leave" {
	local tool
	need_root
	need_command mkfs.ext4
	loop_spool 128M
	rconf1 'max-smtp-out = 2'
	send_many 1 100 a.example b.example
	mount -o remount,ro "$P/spool"
	message >"$P/message"
	for tool in 'vmta-inject -f s@sender.example x@a.example' vmta-runq; do
		# shellcheck disable=SC2086
		run --separate-stderr timeout 60 "$P/bin/"$tool <"$P/message"
		equal 75 "$status" "$tool: $stderr"
		equal 1 "${#stderr_lines[@]}" "$tool: $stderr"
		[[ $stderr == *'Read-only file system'* ]] || fail "$stderr"
	done
	equal 0 "$(sink_count messages)" 'sent without a journal'
	equal '' "$(vmta-check spool)" 'vmta-check spool'
	mount -o remount,rw "$P/spool"
	deliver
	all_final 100
	each_taken 100 0
}

@test "a spool made read-only under a run: nothing is lost" {
	need_root
	need_command mkfs.ext4
	MOUNT_OPTIONS=errors=remount-ro loop_spool 128M
	local error
	error=/sys/fs/ext4/$(basename "$(findmnt -no SOURCE "$P/spool")")
	[ -w "$error/trigger_fs_error" ] || skip 'cannot make an error of ext4'
	rconf1 'max-smtp-out = 2'
	send_many 1 600 a.example b.example
	end "$SINK_PID"
	start_sink -n slow --delay 'bdat 20'
	rconf1 'max-smtp-out = 2'
	start_runq
	wait_until sink_has 50 slow
	# what the kernel does after an error of the disk
	echo test >"$error/trigger_fs_error"
	refute touch "$P/spool/x" 2>/dev/null
	ended "$RUNQ_PID" || true
	[ -s "$BATS_TEST_TMPDIR/runq.err" ] || [ -s "$P/log/vmta.log" ]
	umount "$P/spool"
	mount -o loop "$IMAGE" "$P/spool"
	deliver --now
	all_final 600
	slow_taken >"$P/slow"
	equal 600 "$(sort -u "$P/slow" | wc -l)" 'recipients that arrived'
	[ "$(wc -l <"$P/slow")" -le $((600 + 256)) ]
}

# As taken, of the slow sink.
slow_taken() {
	sink_log msg slow | grep -P '\treply=2' | field rcpt | tr ' ' '\n'
}

@test "a part of the spool is of another user: 78, one line, no change" {
	local dir tool
	need_root
	need_user nobody
	rconf1
	send_many 1 20 a.example b.example
	message >"$P/message"
	waiting 20 # and the configuration is compiled
	find "$P/spool" -type f -exec md5sum {} + | sort >"$P/before"
	for dir in queue acct commit content state; do
		chown nobody "$P/spool/$dir"
		for tool in 'vmta-inject -f s@sender.example x@a.example' \
			vmta-runq 'vmta-queue list' 'vmta-check spool'; do
			# shellcheck disable=SC2086
			run --separate-stderr timeout 60 "$P/bin/"$tool \
				<"$P/message"
			equal 78 "$status" "$dir, $tool: $stderr"
			equal 1 "${#stderr_lines[@]}" "$dir, $tool: $stderr"
		done
		chown root "$P/spool/$dir"
	done
	find "$P/spool" -type f -exec md5sum {} + | sort | diff "$P/before" -
	deliver
	all_final 20
	each_taken 20 0
}

# The batches that wait, a path a line.
new_batches() {
	find "$P/spool/queue" -type f -path '*/new/*' | sort
}

@test "foreign files in the tree: named, left alone, and all leave" {
	local f
	rconf1
	send_many 1 100 a.example b.example
	local foreign=(README queue/README queue/v1/core acct/notes.txt
		queue/v1/new/a.example/.nfs01 commit/x~ content/README
		state/lost+found queue/v1/new/a.example/20201123)
	for f in "${foreign[@]}"; do
		echo foreign >"$P/spool/$f"
	done
	vmta-check spool >"$P/findings" || true
	timeout 60 "$P/bin/vmta-runq" 2>"$P/err"
	waiting 0
	all=$(find "$P/log" -name 'acct*.csv')
	python3 "$HELPER/acct.py" finals 100 -- $all
	each_taken 100 0
	for f in "${foreign[@]}"; do
		equal foreign "$(cat "$P/spool/$f" "$P/spool/bad/${f##*/}" \
			2>/dev/null)" "$f"
		# where mail lies
		[[ $f == queue/*/core || $f == */20201123 ||
			$f =~ ^(queue|content|commit)/[^/]*$ ]] || continue
		grep -q "^$f" "$P/findings" || fail "vmta-check misses $f"
	done
}

@test "a broken batch is set aside with a reason, the rest goes on" {
	local how b n=0 broken=0 at
	rconf1
	for how in cut zero flip empty; do
		send "$how@a.example" "$how@b.example"
		b=$(new_batches | grep /a.example/ | head -n 1)
		[ -n "$b" ]
		at=$(stat -c %s "$b")
		case $how in
		cut) truncate -s $((at / 2)) "$b" ;;
		zero) dd if=/dev/zero of="$b" bs=$((at / 2)) count=1 \
			conv=notrunc status=none ;;
		flip) printf '\377' | dd of="$b" bs=1 seek=40 conv=notrunc \
			status=none ;;
		empty) : >"$b" ;;
		esac
		send_many $((n * 50 + 1)) $(((n + 1) * 50)) a.example c.example
		n=$((n + 1)) broken=$((broken + 1))
		timeout 60 "$P/bin/vmta-runq" >"$P/out" 2>"$P/err" || true
		[ -f "$P/spool/bad/${b##*/}" ] || fail "$how: not set aside"
		[ -s "$P/spool/bad/${b##*/}.why" ] || fail "$how: no reason"
		grep -qF "${b##*/}" "$P/err" "$P/log/vmta.log" ||
			fail "$how: no word: $(cat "$P/err")"
		waiting 0
		equal $((n * 50 + broken)) "$(taken | sort -u | wc -l)" "$how"
	done
	python3 "$HELPER/acct.py" finals $((n * 50 + broken)) -- \
		"$P"/log/acct*.csv
	each_taken $((n * 50 + broken)) 0 "faults=$broken"
}
