# vmta-inject --pickup: files that other programs drop, taken once, when they
# are complete.
# shellcheck disable=SC2154 # run sets stderr and stderr_lines

load helper/common
load helper/inject
load helper/pickup
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
	rconf
}

teardown() {
	end_test
}

@test "a file becomes a message, and is gone; each directory is a source" {
	pfile 1 >"$P/spool/pickup/one"
	pfile 2 | drop two.msg
	taken 0 2 0
	equal '' "$stderr"
	equal '' "$(left)"
	equal '' "$(find "$IN" "$P/spool/pickup" -mindepth 1)"
	equal "$(printf '%s\n' 'source: pickup' 'source: pickup:news' \
		'vmta: b' 'vmta: c')" \
		"$(mail | grep '^source:\|^vmta:' | sort)"
	equal "$(printf '%s\n' '0 u1@x.example' '0 u2@x.example')" "$(rcpts)"
	equal 2 "$(mail | grep -c ' s@y.example$')"
	mail | grep -q '^body 2'
	refute grep -qi x-receiver <(mail)
	# nothing more to do
	taken 0 0 0
}

@test "all lines of the envelope" {
	rconf 'domain-suffix = local.example' \
		"source 'pickup:news' { process-x-virtual-mta = yes }"
	sed -i "/^source 'pickup:news' { default/d" "$P/etc/vmta.conf"
	drop f <<-'END'
		X-Sender: <first@y.example>
		x-receiver: r@x.example
		x-virtual-mta: a
		X-Receiver: <q@host>
		x-sender-override: real@y.example
		x-schedule: 2026-01-01/2026-01-02
		x-envid: e 1
		x-job: job 1
		x-dkim-options: d=x.example
		x-receiver: r@x.example
		Subject: x

		x-receiver: text
	END
	taken 0 1 0
	equal "$(printf '%s\n' '0 r@x.example' '1 q@host.local.example')" \
		"$(rcpts)"
	equal 'vmta: a' "$(mail | grep '^vmta:' | sort -u)"
	equal 'job: job 1' "$(mail | grep '^job:' | sort -u)"
	mail | grep -q ' e+201 real@y.example$'
	mail | grep -q '^x-receiver: text'
	equal 0 "$(mail | grep -ci '^x-virtual\|^x-sched\|^x-dkim\|first@')"
}

@test "x-virtual-mta is the header's: not obeyed unless the source may" {
	pfile 1 'x-virtual-mta: a' | drop f
	taken 0 1 0
	equal 'vmta: c' "$(mail | grep '^vmta:')"
	refute grep -qi x-virtual-mta <(mail)
	# --vmta's rules hold for the source as for others
	rconf "source 'local' { allow-virtual-mta = '' }"
	sed -i "/^source 'local' { default/d; s/virtual-mta = c/& process-x-virtual-mta = yes/" \
		"$P/etc/vmta.conf"
	pfile 2 'x-virtual-mta: a' | drop f
	taken 65 0 1
	why f | grep -q "source pickup:news may not use VirtualMTA 'a'"
}

@test "the null sender, CRLF, no line end at the end" {
	printf 'x-sender:\r\nx-receiver: r@x.example\r\nA: b\r\n\r\nlast' |
		drop f
	taken 0 1 0
	equal "$(printf 'last\r')" "$(mail | grep ^last)"
	mail | grep -aq '^M .* - <>$' || fail "$(mail)"
}

@test "SOURCE: a source inherits from pickup, pickup from local" {
	iconf "pickup = {'spool/pickup', 'in source=news', 'third source=x'}" \
		'pickup-rename-only = yes' \
		"source 'pickup' { allow-sender = '*@z.example' }" \
		"source 'pickup:news' { allow-sender = '*@y.example' }"
	mkdir "$P/third"
	pfile 1 >"$P/spool/pickup/a"
	pfile 2 >"$P/third/b"
	pfile 3 >"$IN/c"
	taken 1 1 2
	why a | grep -q 'source pickup may not use this sender'
	why b | grep -q 'source pickup:x may not use this sender'
	equal 'vmta: a' "$(mail | grep '^vmta:' | sort -u)"
}

@test "left alone: hidden names, .tmp and .part, directories" {
	local n
	for n in .x .x.msg x.tmp x.part .tmp; do
		pfile 1 >"$IN/$n"
	done
	mkdir "$IN/sub"
	pfile 1 >"$IN/sub/x"
	pfile 2 >"$IN/x.tmp.msg"
	pfile 3 >"$IN/xtmp"
	taken 0 2 0
	equal "$(printf '%s\n' .tmp .x .x.msg sub/x x.part x.tmp)" "$(left)"
	equal "$(seq 2 3)" "$(numbers)"
}

@test "batch SMTP: many messages in a file" {
	{
		echo 'EHLO there'
		bsmtp 300
	} | drop batch
	pfile 400 | drop f
	taken 0 301 0
	equal "$({ seq 300; echo 400; } | md5sum)" "$(numbers | md5sum)"
	equal '' "$(left)"
}

@test "batch SMTP with bad transactions: the others stay accepted" {
	{
		bsmtp 3
		printf 'MAIL FROM:<s@y.example>\nRCPT TO:<a b@x.example>\n'
		printf 'RCPT TO:<u7@x.example>\nDATA\nSubject: number 7\n\n.\n'
		printf 'MAIL FROM:<s@y.example>\nDATA\nx: y\n.\n'
		bsmtp 2 | sed 's/number /number 1/'
	} | drop batch
	taken 1 6 2
	equal "$(printf '%s\n' 1 2 3 7 11 12)" "$(numbers)"
	equal batch "$(bad)"
	equal 3 "$(why batch | wc -l)"
	why batch | grep -q "^$IN/batch:23: "
	why batch | grep -q "^$IN/batch:30: no recipient"
	why batch | grep -qx '6 messages of it were accepted'
	[[ $stderr == "$IN/batch:23: "*" ($BAD/batch."*")" ]] || fail "$stderr"
	taken 0 0 0
}

@test "bad files are set aside with the reason; the good ones are taken" {
	local n
	pfile 1 | drop good
	pfile 2 'x-receiver: a b@x.example' | drop rcpt
	pfile 3 | sed 1d | drop nosender
	echo junk | drop junk
	: | drop empty
	printf 'x-sender: a@y.example\nx-receiver: b@x.example\n' | drop short
	rconf "source 'pickup:news' { allow-bsmtp = no max-message-size = 1K }"
	sed -i "/^source 'pickup:news' { default/d" "$P/etc/vmta.conf"
	bsmtp 1 | drop batch
	{
		pfile 4
		head -c 2000 /dev/zero | tr '\0' 'x'
	} | drop large
	taken 1 1 7
	equal 1 "$(numbers)"
	equal "$(printf '%s\n' batch empty junk large nosender rcpt short)" \
		"$(bad)"
	why rcpt | grep -qx "$IN/rcpt: line 3: x-receiver: .*"
	why nosender | grep -q 'begins neither'
	why short | grep -q 'ends before the message'
	why batch | grep -q 'may not submit batch SMTP'
	why large | grep -q 'over 1024 octets'
	equal 7 "${#stderr_lines[@]}"
	# as it was, and for nobody else
	for n in "$BAD"/junk.*; do
		equal 600 "$(stat -c %a "${n%.why}.why")"
	done
	equal junk "$(cat "$BAD"/junk.?????????????????????)"
	taken 0 0 0
}

@test "a directory of bad files of its own; two bad files of one name" {
	rconf
	sed -i "s|'in source|'in in/.bad source|" "$P/etc/vmta.conf"
	echo junk1 | drop a
	taken 65 0 1
	echo junk2 | drop a
	taken 65 0 1
	equal 4 "$(find "$IN/.bad" -type f | wc -l)"
	equal '' "$(bad)"
}

@test "thousands of files: a commit for many, no more memory" {
	need_plain 'memory of its own'
	seq 3000 | awk -v d="$IN" '{
		f = d "/" $1
		printf "x-sender: s@y.example\nx-receiver: u%d@d%d.example\n" \
		    "Subject: number %d\n\n%06000d\n", $1, $1 % 3, $1, $1 >f
		close(f) }'
	taken 0 3000 0
	equal "$(seq 3000 | md5sum)" "$(numbers | md5sum)"
	[ "$(batches | wc -l)" -lt 60 ]
	equal '' "$(left)"
}

@test "ONCE: several at once take each file once" {
	local i pids=()
	for i in $(seq 400); do
		pfile "$i" >"$IN/$i"
	done
	for i in $(seq 401 440); do
		{
			bsmtp 3 | sed "s/number /number $i/"
		} >"$IN/$i"
	done
	for i in 1 2 3 4 5 6; do
		inject --pickup >"$P/out.$i" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || fail "ended with $?"
	done
	taken 0 0 0
	equal 520 "$(awk '{ n += $2 } END { print n }' "$P"/out.*)"
	equal "$({
		seq 400
		for i in $(seq 401 440); do printf '%s\n' "${i}"{1,2,3}; done
	} | md5sum)" "$(numbers | md5sum)"
	equal '' "$(left)"
	equal '' "$(find "$IN" -name '.vmta-*')"
}

# rested TIME: it is two seconds ago.
rested() {
	equal 1 "$(awk -v a="$1" -v b="$EPOCHREALTIME" \
		'BEGIN { print (b - a >= 2) }')" rested
}

@test "REST: files rest for two seconds before they are taken" {
	local t=$EPOCHREALTIME
	pconf
	pfile 1 | drop f
	# the run waits for it, and no longer
	taken 0 1 0
	rested "$t"
}

# A time of change that a writer sets says nothing.
@test "REST: a file with an old time that was written just now is waited for" {
	pconf
	pfile 1 >"$P/spool/pickup/f"
	t=$EPOCHREALTIME
	touch -d '2020-01-01' "$P/spool/pickup/f"
	taken 0 1 0
	rested "$t"
	pfile 2 >"$IN/f"
	t=$EPOCHREALTIME
	touch -d '2040-01-01' "$IN/f"
	taken 0 1 0
	rested "$t"
}

# cp at 10 KiB/s: rests shorter than a moment, and its file open.
slow_copy() {
	python3 -c '
import sys, time
with open(sys.argv[2], "wb") as out:
    for block in iter(lambda d=open(sys.argv[1], "rb"): d.read(1024), b""):
        out.write(block)
        out.flush()
        time.sleep(0.1)
' "$1" "$2"
}

# The file is there, and has something in it.
begun() {
	[ -s "$1" ]
}

# bats test_tags=slow
@test "REST: cp at 10 KiB/s: taken when it is through, whole" {
	pconf
	{
		pfile 1
		seq 10000
	} >"$P/large"
	slow_copy "$P/large" "$IN/f" &
	own $!
	wait_until begun "$IN/f"
	taken 0 0 0
	[ -s "$IN/f" ]
	wait
	taken 0 1 0
	equal "$(seq 10000 | md5sum)" "$(mail | tr -d '\r' |
		grep '^[0-9][0-9]*$' | md5sum)"
}

# bats test_tags=slow
@test "REST: a writer stopped by SIGSTOP: not taken, however long" {
	pconf
	# shellcheck disable=SC2016
	start writer bash -c 'exec 3>"$1"; printf "x-sender: s@y.example\n" >&3
		kill -s STOP $$
		printf "x-receiver: r@x.example\nSubject: number 1\n\nend" >&3' \
		- "$IN/f"
	wait_until begun "$IN/f"
	wait_until grep -q '^State:.T' "/proc/$STARTED/status"
	taken 0 0 0
	taken 0 0 0
	equal f "$(left)"
	kill -s CONT "$STARTED"
	wait "$STARTED"
	taken 0 1 0
	mail | grep -q ^end
}

# bats test_tags=slow
@test "REST: a file open for writing is left, one open for reading is not" {
	pconf
	pfile 1 >"$IN/w"
	pfile 2 >"$IN/r"
	exec 6>>"$IN/w" 7<"$IN/r"
	taken 0 1 0
	equal w "$(left)"
	exec 6>&- 7<&-
	taken 0 1 0
	equal "$(seq 2)" "$(numbers)"
}

@test "rsync: its temporary names are left alone" {
	need_command rsync
	mkdir "$P/from"
	for i in 1 2 3 4 5; do
		pfile $i >"$P/from/$i"
	done
	touch -d '2020-01-01' "$P/from"/*
	pconf
	pfile 9 >"$IN/.6.AbCdEf"
	rsync -a "$P/from/" "$IN/"
	taken 0 5 0
	equal .6.AbCdEf "$(left)"
	equal "$(seq 5)" "$(numbers)"
}

@test "a name that is used again is another file" {
	for i in 1 2 3; do
		pfile 1 | drop f
		touch -d '2020-01-01' "$IN/f"
		taken 0 1 0
	done
	equal "$(printf '%s\n' 1 1 1)" "$(numbers)"
}

# bats test_tags=slow
@test "ONCE: kill -9 at any moment: each recipient once" {
	local i n=0 pid cut=0 total=0
	KILLS=${VMTA_KILLS:-40}
	for ((i = 0; i < KILLS; i++)); do
		for n in 1 2 3 4 5 6 7 8; do
			total=$((total + 1))
			pfile $total | drop "f$total"
		done
		bsmtp 4 | sed "s/number /number 99$i/; s/^RCPT TO:<u/&99$i/" |
			drop "b$i"
		"$P/bin/vmta-inject" --pickup >/dev/null 2>&1 &
		pid=$!
		sleep "0.$(printf %03d $((RANDOM % 200)))"
		! alive $pid || cut=$((cut + 1))
		kill -s KILL $pid 2>/dev/null || true
		wait $pid 2>/dev/null || true
	done
	# what killed ones had is free as soon as they are gone
	take
	equal 0 "$status" "$stderr"
	taken 0 0 0
	echo "# $KILLS kills, $cut of a process at work" >&3
	equal '' "$(find "$IN" -mindepth 1)"
	diff <({
		seq $total
		for ((i = 0; i < KILLS; i++)); do
			printf '%s\n' "99$i"{1,2,3,4}
		done
	} | sort -n) <(numbers)
}

@test "SIGTERM: what was begun is finished, the rest stays; exit 0" {
	local i
	for i in $(seq 2000); do
		pfile "$i" >"$IN/$i"
	done
	start take "$P/bin/vmta-inject" --pickup
	wait_until takes_signals "$STARTED"
	kill -s TERM "$STARTED"
	wait "$STARTED"
	equal 0 $?
	taken 0 $((2000 - $(awk '{ print $2 }' "$BATS_TEST_TMPDIR/take.out"))) 0
	equal "$(seq 2000 | md5sum)" "$(numbers | md5sum)"
}

@test "less than min-free-space: 75, and the files stay" {
	pconf 'min-free-space = 1000000G' 'pickup-rename-only = yes'
	pfile 1 | drop f
	bsmtp 2 | drop b
	taken 75 0 0
	equal "$(printf '%s\n' b f)" "$(left)"
	equal '' "$(find "$IN" -name '.vmta-*')"
	rconf
	taken 0 3 0
}

@test "a directory that is not there: 78, the others are taken" {
	iconf "pickup = {'missing', 'in'}" 'pickup-rename-only = yes'
	pfile 1 | drop f
	take
	equal 78 "$status"
	[[ $stderr == *"pickup $P/missing: No such file"* ]] || fail "$stderr"
	equal 'accepted 1 rejected 0 suppressed 0' "$output"
	run --separate-stderr "$P/bin/vmta-check" config
	equal 0 "$status"
	[[ $stderr == *"pickup $P/missing: No such file"* ]] || fail "$stderr"
}

@test "a spool that is not there yet; bad files beside the good ones" {
	rm -r "$P/spool"
	run --separate-stderr "$P/bin/vmta-check" config
	[[ $stderr != *"No such file"* ]] || fail "$stderr"
	pfile 1 | drop f
	taken 0 1 0
	[ -d "$P/spool/pickup" ]
	iconf "pickup = {'in in'}" 'pickup-rename-only = yes'
	echo junk | drop g
	taken 78 0 0
	[[ $stderr == *'bad files would be taken again'* ]] || fail "$stderr"
	run --separate-stderr "$P/bin/vmta-check" config
	[[ $stderr == *'bad files would be taken again'* ]] || fail "$stderr"
	equal g "$(left)"
}

@test "configuration: what a pickup directory may be" {
	local text
	for text in ' x' 'a b c' 'a source=' 'a source=-x' 'a b source=x y' \
		'a source=x b' 'a b c source=x' "a source=$(printf %065d 1)"; do
		iconf "pickup = {'$text'}"
		run --separate-stderr "$P/bin/vmta-check" config
		equal 78 "$status" "'$text'"
		[[ $stderr == *vmta.conf:*pickup* ]] || fail "$stderr"
	done
	iconf
	take
	equal 78 "$status"
	[[ $stderr == *'no pickup directory is configured'* ]]
	rconf
	for text in '-f a@b.example' '--bsmtp' 'a@b.example' '--hold' '-t' \
		'--submit-id k' '--vmta a' '--priority 3' '--dedupe' \
		'--rejects x'; do
		# shellcheck disable=SC2086
		take $text
		equal 64 "$status" "$text"
	done
}

@test "-v prints ids and recipients" {
	pfile 1 'x-receiver: b@x.example' | drop f
	taken 0 1 0 -v
	[[ ${lines[0]} =~ ^[0-9a-v]{21}\ 2$ ]] || fail "$output"
	equal 1 "$(mail | grep -c "^M ${lines[0]% 2} ")"
}
