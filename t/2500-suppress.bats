# Suppression lists: vmta-bounce suppress, at submission, at delivery.

# shellcheck disable=SC2154 # run sets stderr
bats_require_minimum_version 1.5.0
load helper/common
load helper/runq

setup() {
	make_prefix
}

teardown() {
	end_test
}

suppress() {
	"$P/bin/vmta-bounce" suppress "$@"
}

# sconf [SETTING...]: lists `default` and `more` hold for local mail.
sconf() {
	rconf "$@" <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		source 'local' { suppression-lists = {'default', 'more'} }
	END
	sed -i "s/^source 'local' { default-v.*}$//" "$P/etc/vmta.conf"
	sed -i "s/suppression-lists/default-virtual-mta = v1  &/" \
		"$P/etc/vmta.conf"
}

# A running sink, and both lists, the second one empty.
with_lists() {
	start_sink
	sconf
	suppress build "$@"
	suppress build --list more
}

# Who was delivered to, and who was suppressed, sorted.
delivered() {
	journal rcpt type=d | sort | xargs
}
suppressed() {
	journal rcpt type=b bounceCat=suppressed | sort | xargs
}

# ---- the tool -------------------------------------------------------------

@test "SUPPRESS: entries of all kinds are found, however they are written" {
	conf <<<"virtual-mta v1 { smtp-source-host = '127.0.0.1' }"
	suppress build User@Example.COM '@dom.example' other.example \
		'*.below.example' '[*.]tree.example' 'abuse@' '/^x[0-9]+@/' \
		'"joe"@quoted.example' 'a@bücher.example' bücher2.example \
		'"A b"@spaced.example'
	local yes no a
	for a in user@example.com USER@EXAMPLE.com x@dom.example \
		y@other.example z@a.below.example z@a.b.below.example \
		t@tree.example t@sub.tree.example ABUSE@any.example \
		X12@nowhere.example joe@quoted.example JOE@quoted.example \
		'"j\oe"@quoted.example' \
		a@xn--bcher-kva.example A@BÜCHER.example \
		q@xn--bcher2-3ya.example '"a B"@spaced.example'; do
		run -0 suppress check "$a"
		equal "listed	$a" "$output"
	done
	for a in user2@example.com user@example.com.example \
		user@sub.example.com x@sub.dom.example z@below.example \
		z@xbelow.example abuse2@any.example ax1@nowhere.example \
		ab@spaced.example u@tree.example2; do
		run -1 suppress check "$a"
		equal "not-listed	$a" "$output"
	done
}

@test "SUPPRESS: list shows each entry once, as it is kept" {
	conf <<<"virtual-mta v1 { smtp-source-host = '127.0.0.1' }"
	printf '%s\r\n' '# people' '  A@Example.com  ' '' a@example.COM \
		'@D.example' d.example '*.D.example' '[*.]e.example' 'U@' \
		'/^a b/' '/^a b/' >"$P/file"
	run -0 suppress build --from "$P/file"
	equal '6 entries' "$output"
	equal '*.d.example /^a b/ [*.]e.example a@example.com d.example u@' \
		"$(suppress list | sort | xargs)"
	# it can be built from what it prints
	suppress list | suppress build --list copy --from -
	equal "$(suppress list)" "$(suppress list --list copy)"
}

@test "SUPPRESS: add and remove change what they name; 1 where nothing was removed" {
	conf <<<"virtual-mta v1 { smtp-source-host = '127.0.0.1' }"
	equal '2 added' "$(suppress add a@x.example b@x.example)"
	equal '1 added' "$(suppress add A@X.example c@x.example)"
	equal '0 added' "$(suppress add c@x.example)"
	run -0 suppress remove B@x.example nobody@x.example
	equal '1 of 2 removed' "$output"
	run -1 suppress remove b@x.example
	equal '0 of 1 removed' "$output"
	equal 'a@x.example c@x.example' "$(suppress list | sort | xargs)"
	suppress remove a@x.example c@x.example
	run -1 suppress list
	run -1 suppress check a@x.example
}

@test "SUPPRESS: an entry that cannot be is named, and nothing is changed" {
	conf <<<"virtual-mta v1 { smtp-source-host = '127.0.0.1' }"
	suppress add keep@x.example
	local bad n=0
	for bad in 'no domain' '@' 'a@b@' '/(/' '/x' '//' 'a@-x-.example..' \
		'*.' '[*.]' '/(a+)+(b+)+$/x' "$(printf 'a\033@x.example')"; do
		printf 'ok@x.example\n%s\n' "$bad" >"$P/file"
		run --separate-stderr -65 suppress add --from "$P/file"
		[[ $stderr == "vmta-bounce: $P/file:2: "* ]] ||
			fail "$bad: $stderr"
		equal 1 "$(wc -l <<<"$stderr")"
		[[ $stderr != *$'\033'* ]]
		run --separate-stderr -65 suppress add "$bad"
	done
	equal keep@x.example "$(suppress list)"
	equal default.cdb "$(ls -A "$P/spool/state/suppress")"
}

@test "SUPPRESS V09 V17: hostile input: NUL, a line of 100 MB, a FIFO, a directory" {
	conf <<<"virtual-mta v1 { smtp-source-host = '127.0.0.1' }"
	suppress add keep@x.example
	printf 'a@x.example\nb\0c@x.example\n' >"$P/file"
	run --separate-stderr -65 suppress add --from "$P/file"
	equal "vmta-bounce: $P/file:2: NUL octet" "$stderr"
	head -c 100000000 /dev/zero | tr '\0' a >"$P/long"
	run --separate-stderr -65 suppress add --from "$P/long"
	equal "vmta-bounce: $P/long:1: over 4096 octets" "$stderr"
	mkfifo "$P/fifo"
	run --separate-stderr -65 timeout 20 "$P/bin/vmta-bounce" suppress \
		build --from "$P/fifo"
	equal "vmta-bounce: $P/fifo: not a regular file" "$stderr"
	run --separate-stderr -65 suppress build --from "$P/etc"
	equal "vmta-bounce: $P/etc: not a regular file" "$stderr"
	run --separate-stderr -65 suppress build --from "$P/missing"
	[[ $stderr == "vmta-bounce: $P/missing: "* ]]
	equal keep@x.example "$(suppress list)"
}

@test "SUPPRESS V09: what is planted where a list belongs is not read" {
	conf <<<"virtual-mta v1 { smtp-source-host = '127.0.0.1' }"
	suppress build a@x.example
	local file=$P/spool/state/suppress/default.cdb kind
	mv "$file" "$P/real"
	for kind in symlink fifo directory link short text empty; do
		rm -rf "$file"
		case $kind in
		symlink) ln -s "$P/real" "$file" ;;
		fifo) mkfifo "$file" ;;
		directory) mkdir "$file" ;;
		link) ln "$P/real" "$file" ;;
		short) head -c -1 "$P/real" >"$file" ;;
		text) seq 1 5000 >"$file" ;;
		empty) : >"$file" ;;
		esac
		run --separate-stderr timeout 20 "$P/bin/vmta-bounce" suppress \
			check a@x.example
		[ "$status" = 65 ] || [ "$status" = 74 ] ||
			fail "$kind: $status $output"
		equal 1 "$(wc -l <<<"$stderr")" "$kind"
		[[ $stderr == *'suppression list default: '* ]]
	done
}

@test "SUPPRESS: usage: commands, lists and operands that cannot be" {
	conf <<<"virtual-mta v1 { smtp-source-host = '127.0.0.1' }"
	run -64 suppress
	run -64 suppress frobnicate
	run -64 suppress add
	run -64 suppress list a@x.example
	run -64 suppress list --list ../../etc
	run --separate-stderr -65 suppress list --list none
	equal 'vmta-bounce: suppression list none: there is none' "$stderr"
}

@test "SUPPRESS: a killed build leaves the old list, and nothing in the next one's way" {
	need_strace
	conf <<<"virtual-mta v1 { smtp-source-host = '127.0.0.1' }"
	suppress build old@x.example
	local call
	for call in fsync rename,renameat,renameat2; do
		run strace -f -qq -o /dev/null \
			-e trace="$call" -e inject="$call:signal=KILL:when=1" \
			"$P/bin/vmta-bounce" suppress build new@x.example
		[ "$status" != 0 ]
		equal old@x.example "$(suppress list)"
	done
	suppress add new@x.example
	equal default.cdb "$(ls -A "$P/spool/state/suppress")"
	equal 'new@x.example old@x.example' "$(suppress list | sort | xargs)"
}

@test "SUPPRESS: a disk that is full says so and leaves the old list" {
	need_strace
	conf <<<"virtual-mta v1 { smtp-source-host = '127.0.0.1' }"
	suppress build old@x.example
	run --separate-stderr -75 strace -f -qq -o /dev/null -e trace=fsync \
		-e inject=fsync:error=ENOSPC:when=1 \
		"$P/bin/vmta-bounce" suppress build new@x.example
	equal old@x.example "$(suppress list)"
	equal default.cdb "$(ls -A "$P/spool/state/suppress")"
}

@test "SUPPRESS: vmta-check spool: lists are legal" {
	conf <<<"virtual-mta v1 { smtp-source-host = '127.0.0.1' }"
	suppress build a@x.example
	run -0 "$P/bin/vmta-check" spool
}

# ---- submission and delivery ----------------------------------------------

@test "SUPPRESS: who is on a list gets a record and no mail, and no attempt is made" {
	with_lists gone@one.example '@dead.example'
	send gone@one.example a@one.example x@dead.example b@two.example
	deliver
	equal 'a@one.example b@two.example' "$(delivered)"
	equal 'gone@one.example x@dead.example' "$(suppressed)"
	equal 2 "$(sink_count messages)"
	equal '5.7.1 (delivery not authorized, message refused)' \
		"$(journal dsnStatus type=b | sort -u)"
	equal 0 "$(journal attempts type=b | sort -u)"
	equal "b=2 d=2 r=4" "$(types)"
	all_final 4
}

@test "SUPPRESS: a stream says how many are suppressed; they stay so, whatever changes" {
	with_lists r2@one.example
	run -0 inject --bsmtp < <(bsmtp 1 3 one.example)
	equal 'accepted 3 rejected 0 suppressed 1' "$output"
	suppress build nobody@one.example
	deliver
	equal 'r2@one.example' "$(suppressed)"
	equal 'r1@one.example r3@one.example' "$(delivered)"
	all_final 3
}

@test "SUPPRESS: a merge says how many are suppressed" {
	with_lists b@one.example '@two.example'
	printf '%s\n' email,name a@one.example,A B@One.example,B \
		c@two.example,C d@one.example,D >"$P/list.csv"
	run -0 inject -f s@sender.example --merge "$P/list.csv" < \
		<(printf 'Subject: x\n\nhello [name]\n')
	equal 'accepted 4 rejected 0 suppressed 2' "$output"
	suppress build nobody@one.example # they stay so
	deliver
	equal 'a@one.example d@one.example' "$(delivered)"
	equal 'B@one.example c@two.example' "$(suppressed)"
	all_final 4
}

@test "SUPPRESS: an address that comes onto a list after it was queued gets nothing" {
	with_lists
	send --at +1h a@one.example
	send a@one.example b@one.example
	suppress add --list more A@one.example
	deliver
	equal 'b@one.example' "$(delivered)"
	equal 'a@one.example' "$(suppressed)"
	equal 'recipient suppressed: on list more' \
		"$(journal dsnDiag type=b | sed 's/^smtp;//')"
	waiting 1
}

@test "SUPPRESS: no connection is made for the sake of who is suppressed" {
	start_sink
	HOSTS="'[127.0.0.1]:1'" sconf
	suppress build a@one.example
	suppress build --list more
	send a@one.example
	deliver
	equal 'b=1 r=1' "$(types)"
	[ ! -e "$P/spool/state/retry/v1/one.example" ]
	send a@one.example b@one.example
	deliver
	equal 'b=2 r=3 tq=1' "$(types)"
	waiting 1
}

@test "SUPPRESS: a deferred recipient that comes onto a list is not tried again" {
	start_sink --reply 'rcpt 451 later'
	sconf 'retry-recipients-after = 1s'
	suppress build
	suppress build --list more
	send a@one.example
	deliver
	equal 'r=1 t=1' "$(types)"
	suppress add a@one.example
	deliver --now
	equal 'b=1 r=1 t=1' "$(types)"
	equal 1 "$(journal attempts type=b)"
}

@test "SUPPRESS: a running worker takes a new list within a second" {
	with_lists
	start_daemon
	send a@one.example
	wait_until eval '[ "$(sink_count messages)" = 1 ]'
	suppress add a@one.example
	sleep 1
	send a@one.example b@one.example
	wait_until eval '[ "$(sink_count messages)" = 2 ]'
	wait_until eval '[ "$(suppressed)" = a@one.example ]'
	equal 'a@one.example b@one.example' "$(delivered)"
	end "$RUNQ_PID"
	all_final 3
}

@test "SUPPRESS: missing or damaged lists: mail of that source waits, other mail goes" {
	start_sink
	sconf
	echo "source 'user:nobody' { suppression-lists = {} }" \
		>>"$P/etc/vmta.conf"
	suppress build
	send a@one.example
	run --separate-stderr -0 deliver
	[[ $stderr == *'suppression list more: there is none'* ]]
	equal 1 "$(grep -c 'suppression list more' <<<"$stderr")"
	waiting 1
	equal r=1 "$(types)"
	equal 0 "$(sink_count messages)"
	suppress build --list more
	head -c 2100 "$P/spool/state/suppress/default.cdb" >"$P/cut"
	mv "$P/spool/state/suppress/default.cdb" "$P/whole"
	cp "$P/cut" "$P/spool/state/suppress/default.cdb"
	run --separate-stderr -0 deliver --now
	[[ $stderr == *'suppression list default: '* ]]
	waiting 1
	cp "$P/whole" "$P/spool/state/suppress/default.cdb"
	deliver
	equal 'd=1 r=1' "$(types)"
	all_final 1
}

# damage FILE: where its entries are is wrong; all else stands.
damage() {
	python3 -c '
import struct, sys
with open(sys.argv[1], "r+b") as f:
    d = bytearray(f.read())
    for table in range(256):
        at, n = struct.unpack_from("<II", d, 8 * table)
        for slot in range(at, at + 8 * n, 8):
            pos, = struct.unpack_from("<I", d, slot + 4)
            if pos > 0 and struct.unpack_from("<I", d, pos)[0] > 1:
                struct.pack_into("<I", d, slot + 4, 2 ** 31)
    f.seek(0)
    f.write(d)' "$1"
}

@test "SUPPRESS: a list that is damaged within: who may be on it waits" {
	start_sink
	sconf
	suppress build
	suppress build --list more
	send a@one.example b@two.example
	suppress build a@one.example
	damage "$P/spool/state/suppress/default.cdb"
	run --separate-stderr -0 deliver
	[[ $stderr == *'suppression list default: damaged'* ]] ||
		fail "$stderr"
	equal b@two.example "$(delivered)"
	waiting 1
	suppress build a@one.example
	deliver
	equal a@one.example "$(suppressed)"
	all_final 2
}

@test "SUPPRESS: a daemon sends what waited for a list, and says meanwhile why" {
	start_sink
	sconf
	suppress build --list more
	start_daemon
	send a@one.example b@one.example
	wait_until eval \
		'vqueue why --all 2>/dev/null | grep -q "suppression list default"'
	suppress build b@one.example
	wait_until eval '[ "$(sink_count messages)" = 1 ]'
	wait_until eval '[ "$(suppressed)" = b@one.example ]'
	end "$RUNQ_PID"
	all_final 2
}

@test "SUPPRESS: a queue that bounces: who was suppressed stays so" {
	start_sink
	sconf 'bounce-after = 0s'
	sed -i '/^smtp-hosts/d' "$P/etc/vmta.conf"
	echo "name-server = {'127.0.0.1@1'}" >>"$P/etc/vmta.conf"
	suppress build a@one.example
	suppress build --list more
	send a@one.example b@one.example
	deliver
	equal 'a@one.example suppressed b@one.example message-expired' \
		"$(journal rcpt bounceCat type=b | sort | xargs)"
	all_final 2
}

@test "SUPPRESS: holding, releasing and moving leave a suppressed recipient what it is" {
	start_sink
	rconf <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.1 v2.example' }
		source 'user:root' { suppression-lists = {'default'} }
	END
	sed -i "s/^source 'local' { \(.*\)}$/source 'local' { \1 suppression-lists = {'default'} }/; /user:root/d" \
		"$P/etc/vmta.conf"
	suppress build a@one.example
	send --hold a@one.example b@one.example
	suppress build
	vqueue hold --all
	vqueue move --all --to v2
	vqueue release --all
	deliver
	equal 'a@one.example' "$(suppressed)"
	equal 'b@one.example' "$(delivered)"
	all_final 2
}

@test "SUPPRESS: vmta-report leaves suppressed recipients out of what bounced" {
	with_lists a@one.example
	send a@one.example b@one.example
	deliver
	equal '1 0 1' "$(report --format csv summary |
		csv delivered bounced suppressed by=total | xargs)"
}

# bats test_tags=slow
@test "SUPPRESS: a batch of 10,000 of whom every tenth is suppressed" {
	start_sink
	sconf
	seq 1 10 10000 | sed 's/.*/r&@one.example/' >"$P/ten"
	suppress build --from "$P/ten"
	suppress build --list more
	(
		echo email
		seq 1 10000 | sed 's/.*/r&@one.example/'
	) >"$P/list.csv"
	inject -f s@sender.example --merge "$P/list.csv" < \
		<(printf 'Subject: x\n\nhello\n') >"$P/out"
	equal 'accepted 10000 rejected 0 suppressed 1000' "$(cat "$P/out")"
	deliver
	equal 'b=1000 d=9000 r=10000' "$(types)"
	all_final 10000
}

# bats test_tags=slow
@test "SUPPRESS: a new list counts in the middle of a batch that is being sent" {
	start_sink --delay 'dot 200'
	sconf 'max-smtp-out = 1'
	suppress build
	suppress build --list more
	send_many 1 60 one.example
	start_runq
	wait_until eval '[ "$(sink_count messages)" -ge 1 ]'
	suppress add r60@one.example
	ended "$RUNQ_PID"
	equal 'r60@one.example' "$(suppressed)"
	equal 59 "$(sink_count messages)"
	all_final 60
}
