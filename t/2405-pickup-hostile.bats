# vmta-inject --pickup against whatever can lie in a directory that others may
# write in: nothing hangs, nothing outside is read, memory stays flat, and what
# is bad does not hold up the rest.
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # run sets stderr; names of $

load helper/common
load helper/inject
load helper/pickup
bats_require_minimum_version 1.5.0

setup() {
	make_prefix
	rconf
}

teardown() {
	[ ! -d "${P:-}/full" ] || umount "$P/full" 2>/dev/null || true
	end_test
}

# refused TEXT < FILE: the file is bad, for a reason with TEXT in one clean
# line; nothing of it is in the spool, and a good one beside it is taken.
refuse() {
	rm -rf "$P/spool/queue" "$BAD"
	drop bad
	pfile 1 | drop good
	taken 1 1 1
	[[ $(why bad) == *"$1"* ]] || fail "no '$1' in: $(why bad)"
	equal 1 "$(why bad | wc -l)" "lines of $(why bad)"
	equal 1 "${#stderr_lines[@]}" "lines of $stderr"
	LC_ALL=C refute grep -aq $'[\x01-\x09\x0b-\x1f\x7f]' \
		<<<"$(why bad)$stderr"
	equal '0 u1@x.example' "$(rcpts)"
	equal '' "$(left)"
}

@test "V02: line ends, controls, 8-bit and specials in senders and recipients" {
	local bad
	for bad in $'a\rb' $'a\tb' $'a\x01b' $'a\x7fb' $'a\xffb' $'a\xc2\x9bb' \
		'a>b' 'a<b' 'a> SIZE=1 <b' 'a b' 'a,b' 'a;b' 'a:b' 'a\b' 'a@b' \
		'"a' $'"a\rb"' "$(printf %065d 1)"; do
		refuse 'line 3: x-receiver: ' < <(pfile 2 \
			"x-receiver: $bad@x.example")
		refuse 'line 3: x-sender-override: ' < <(pfile 2 \
			"x-sender-override: $bad@x.example")
		refuse 'line 1: x-sender: ' < <(pfile 2 |
			sed "1s/.*/x-sender: @/" | awk -v b="$bad@x.example" \
			'NR == 1 { gsub(/\\/, "&&", b); print "x-sender: " b; next }
			{ print }')
	done
	refuse 'line 3: NUL' < <(pfile 2 | sed '2a x-receiver: a\x00b@x.example')
	refuse 'line 3: ' < <(pfile 2 'x-receiver:')
}

@test "V02: envelope ids and jobs" {
	local bad
	for bad in $'a\rb' $'a\x7fb' $'a\xff' "$(printf %0101d 1)"; do
		refuse 'envelope id' < <(pfile 2 "x-envid: $bad")
	done
	for bad in $'a\rb' $'a\x7fb' $'a\tb' "$(printf %0256d 1)"; do
		refuse job < <(pfile 2 "x-job: $bad")
	done
	refuse 'line over' < <(pfile 2 "x-job: $(printf %05000d 1)")
	# what has a meaning elsewhere is encoded
	rm -rf "$P/spool/queue"
	pfile 2 'x-envid: a >+=b' | drop f
	taken 0 1 0
	mail | grep -q '^M .* a+20>+2B+3Db '
}

@test "V03: no field comes from the envelope, none of the envelope's leaves" {
	refuse job < <(pfile 2 $'x-job: j\rX-Evil: 1')
	refuse 'a line that is folded' < <(pfile 2 'x-job: j' ' X-Evil: 1')
	refuse 'CR without LF' < <(pfile 2 $'x-virtual-mta: c\rX-Evil: 1')
	refuse 'NUL' < <(pfile 2 | sed 's/^Subject: /&\x00/')
	rm -rf "$P/spool/queue"
	pfile 2 'x-job: j: X-Evil: 1' 'x-envid: X-Evil: 1' \
		'x-schedule: 1/2' 'x-dkim-options: d=x' | drop f
	taken 0 1 0
	equal 0 "$(mail | grep -ci '^x-')"
}

@test "V08: addresses and names that look like options or commands" {
	local a
	need_strace
	for a in '-oQ/tmp' '$(id)' '`id`' '${run{id}}' '|id' '%n%s' '-f'; do
		pfile 2 "x-receiver: \"$a\"@x.example" >"$IN/${a//\//_}"
	done
	run strace -f -qq -e trace=execve,execveat -o "$P/trace" \
		"$P/bin/vmta-inject" --pickup
	equal 0 "$status" "$output"
	equal 1 "$(wc -l <"$P/trace")" 'programs that were run'
	for a in '-oQ/tmp' '$(id)' '`id`' '${run{id}}' '|id' '%n%s' '-f'; do
		rcpts | grep -qxF "1 \"$a\"@x.example" || fail "$a: $(rcpts)"
	done
}

@test "V09: links, FIFOs, sockets and devices are not opened" {
	local secret=$P/secret
	pfile 66 >"$secret"
	ln -s "$secret" "$IN/link"
	ln -s nowhere "$IN/dangling"
	ln -s . "$IN/loop"
	ln "$secret" "$IN/hard"
	mkfifo "$IN/fifo"
	python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$IN/socket"
	[ "$(id -u)" != 0 ] || mknod "$IN/device" c 1 5 || true
	mkdir "$IN/directory"
	pfile 1 | drop good
	# a file with several links is waited for: a rename by link and unlink
	taken 1 1 "$(find "$IN" -mindepth 1 ! -type d ! -name good | wc -l)"
	equal 1 "$(numbers)"
	equal '' "$(left)"
	[ -d "$IN/directory" ]
	why link | grep -qx "$IN/link: a symbolic link"
	why hard | grep -qx "$IN/hard: a file with several links"
	why fifo | grep -qx "$IN/fifo: a FIFO"
	equal "$(pfile 66)" "$(cat "$secret")"
	# as they were
	[ -L "$(find "$BAD" -name 'link.*' ! -name '*.why')" ]
}

@test "V09: claims that others made" {
	local id=01lgs05j2pg5pc47m6had
	mkdir "$P/there"
	pfile 66 >"$P/there/f"
	ln -s "$P/there" "$IN/.vmta-$id"
	: >"$IN/.vmta-${id%d}e"
	mkfifo "$IN/.vmta-${id%d}f"
	mkdir "$IN/.vmta-x" "$IN/.vmta-" "$IN/.vmta-$id.x"
	mkdir -m 0777 "$IN/.vmta-${id%d}g"
	pfile 67 | tee "$IN/.vmta-x/f" "$IN/.vmta-$id.x/f" \
		>"$IN/.vmta-${id%d}g/f"
	pfile 1 | drop good
	taken 0 1 0
	equal 1 "$(numbers)"
	[ -f "$P/there/f" ] && [ -f "$IN/.vmta-${id%d}g/f" ]
	# one as we make them is finished
	mkdir -m 0700 "$IN/.vmta-${id%d}h"
	pfile 2 >"$IN/.vmta-${id%d}h/f"
	ln -s "$P/there/f" "$IN/.vmta-${id%d}h/link"
	taken 1 1 1
	equal "$(seq 2)" "$(numbers)"
	[ ! -e "$IN/.vmta-${id%d}h" ]
}

@test "V09: names: controls, 255 octets, no UTF-8, blanks, paths, options" {
	local n names=($'a\nb' $'a\x1b[2Jb' $'a\xffb' $'a\xe2\x80\xaeb' 'a b' '-f'
		'--help' '*' '$(id)' '..a' '~' "$(printf %0255d 1)" 'x.why')
	for n in "${names[@]}"; do
		pfile 1 >"$IN/$n"
	done
	# ..a is hidden
	taken 0 $((${#names[@]} - 1)) 0
	rm "$IN/..a"
	for n in "${names[@]}"; do
		echo junk >"$IN/$n"
	done
	rm "$IN/..a"
	taken 65 0 $((${#names[@]} - 1))
	equal $(((${#names[@]} - 1) * 2)) "$(find "$BAD" -type f | wc -l)"
	equal '' "$(find "$BAD" -name $'*\n*' -o -name $'*\x1b*')"
	LC_ALL=C refute grep -raq $'[\x01-\x09\x0b-\x1f\x7f]' "$BAD"
	LC_ALL=C refute grep -q $'[\x01-\x09\x0b-\x1f\x7f]' <<<"$stderr"
	equal '' "$(left)"
}

@test "V11: a subject that a pattern could hang on" {
	rconf 'pattern-list r { match = {"header Subject /(b+)+[cd]/ virtual-mta=a", "* virtual-mta=c"} }' \
		"source 'pickup:news' { pattern-list = r }"
	sed -i "/^source 'pickup:news' { default/d" "$P/etc/vmta.conf"
	pfile 1 | sed "s/^Subject: .*/Subject: $(printf 'b%.0s' {1..900})!/" |
		drop f
	pfile 2 | drop good
	# it gives up: refused, with the reason, and the others go on
	taken 1 1 1
	why f | grep -q 'pattern-list r'
	equal 2 "$(numbers)"
	equal '' "$(left)"
}

@test "V24: invalid UTF-8 and reordering in addresses and names" {
	refuse 'line 3: x-receiver: ' < <(pfile 2 $'x-receiver: \xc0\xaf@x.example')
	refuse 'line 3: x-receiver: ' < <(pfile 2 $'x-receiver: a@\xff.example')
	refuse 'line 3: x-receiver: ' \
		< <(pfile 2 $'x-receiver: a@x\xe2\x80\xae.example')
	rm -rf "$P/spool/queue"
	pfile 2 $'x-receiver: \xc3\xbc@b\xc3\xbccher.example' | drop $'\xc3\xbc'
	echo junk | drop $'\xe2\x80\xaegnp.exe'
	taken 1 1 1
	rcpts | grep -q $'^1 \xc3\xbc@xn--bcher-kva.example$'
	refute grep -q $'\xe2\x80\xae' "$BAD"/*.why
	equal '' "$(find "$BAD" -name $'*\xe2\x80\xae*')"
	[[ $stderr != *$'\xe2\x80\xae'* ]]
}

# tight: --pickup with 300 MiB of address space, and no more.
tight() {
	need_plain 'memory of its own'
	run --separate-stderr timeout 300 bash -c 'ulimit -v 300000
		exec "$0" --pickup' "$P/bin/vmta-inject"
}

# bats test_tags=slow
@test "V22: 2 GiB, sparse or of one line, are refused in flat memory" {
	truncate -s 2G "$IN/sparse"
	printf 'x-sender: s@y.example\nx-receiver: r@x.example\n' >"$IN/message"
	cp "$IN/message" "$IN/body"
	truncate -s 2G "$IN/message"
	{
		printf 'x: y\n\n'
		head -c 150000000 /dev/zero | tr '\0' a
	} >>"$IN/body"
	printf 'x-sender: ' >"$IN/line"
	head -c 10000000 /dev/zero | tr '\0' a >>"$IN/line"
	printf 'MAIL FROM:<s@y.example>\n' >"$IN/batch"
	truncate -s 2G "$IN/batch"
	pfile 1 | drop good
	rconf 'max-message-size = 20M'
	tight
	equal 1 "$status" "$stderr"
	equal 'accepted 1 rejected 5 suppressed 0' "$output"
	why sparse | grep -q 'begins neither'
	why message | grep -q NUL
	why body | grep -q 'over 20971520 octets'
	why line | grep -q 'line over'
	equal 2 "$(why batch | wc -l)"
}

# bats test_tags=slow
@test "V22: 10 million recipients are refused in flat memory" {
	{
		echo 'x-sender: s@y.example'
		seq -f 'x-receiver: u%.0f@x.example' 100000
		yes 'x-receiver: a@x.example' | head -n 9900000
		printf '\nbody\n'
	} >"$IN/message"
	{
		echo 'MAIL FROM:<s@y.example>'
		seq -f 'RCPT TO:<u%.0f@x.example>' 100000
		yes 'RCPT TO:<a@x.example>' | head -n 9900000
		printf 'DATA\nx: y\n.\n'
		bsmtp 1
	} >"$IN/batch"
	{
		echo 'MAIL FROM:<s@y.example>'
		yes 'RCPT TO:<a b>' | head -n 3000000
	} >"$IN/bad"
	tight
	equal 1 "$status" "$stderr"
	[[ $output == 'accepted 1 rejected '* ]]
	why message | grep -q 'more than 100000 recipients'
	why batch | grep -q 'too many recipients'
	why bad | grep -q '^\.\.\. and [0-9]* more$'
	[ "$(why bad | wc -c)" -lt 100000 ]
	equal 1 "$(rcpts | wc -l)"
}

@test "V18: --pickup is for root and the owner of the spool" {
	need_root
	need_user nobody
	need_user daemon
	P=$(mktemp -d "${TMPDIR:-/tmp}/vmta-setuid.XXXXXX")
	echo "$P" >>"$BATS_TEST_TMPDIR/.dirs"
	chmod 0755 "$P"
	mkdir "$P/bin" "$P/etc" "$P/in"
	install -d -o daemon -g daemon -m 0700 "$P/spool"
	install -o daemon -g daemon -m 4755 "$BUILD/bin/vmta-inject" "$P/bin"
	rconf
	chown -R daemon "$P/spool" "$P/in"
	chmod 0644 "$P/etc/vmta.conf"
	unset VMTA_CONFIG
	setpriv --reuid=nobody --clear-groups "$P/bin/vmta-inject" --version \
		>/dev/null || skip "set-uid programs cannot run below $P"
	pfile 1 >"$IN/f"
	run setpriv --reuid=nobody --clear-groups "$P/bin/vmta-inject" --pickup
	equal 78 "$status" "$output"
	[[ $output == *'for root and the owner of the spool'* ]]
	equal f "$(left)"
	# root does it as the owner
	taken 0 1 0
	equal '' "$(find "$P/spool" ! -user daemon)"
	pfile 2 >"$IN/f"
	run setpriv --reuid=daemon --clear-groups "$P/bin/vmta-inject" --pickup
	equal 0 "$status" "$output"
	equal "$(seq 2)" "$(numbers)"
}

# as_owner ARG...: --pickup as daemon, whose the spool is, with setpriv's ARGs.
as_owner() {
	run --separate-stderr timeout 60 setpriv --reuid=daemon \
		--regid="$(id -g daemon)" --clear-groups "$@" \
		"$P/bin/vmta-inject" --pickup
}

# foreign PCONF: a prefix that daemon can read, whose spool is daemon's, and
# where nobody may drop files. PCONF writes its configuration.
foreign() {
	need_root
	need_command setpriv
	need_user nobody
	need_user daemon
	P=$(mktemp -d "${TMPDIR:-/tmp}/vmta-pickup.XXXXXX")
	echo "$P" >>"$BATS_TEST_TMPDIR/.dirs"
	chmod 0755 "$P"
	mkdir "$P/bin" "$P/etc" "$P/in"
	install -d -o daemon -g daemon -m 0700 "$P/spool"
	install -m 0755 "$BUILD/bin/vmta-inject" "$P/bin"
	"$1"
	chmod 0644 "$P/etc/vmta.conf"
	unset VMTA_CONFIG
	chown -R daemon "$P/spool" "$IN"
	chmod 0777 "$IN"
	setpriv --reuid=daemon --clear-groups "$P/bin/vmta-inject" --version \
		>/dev/null || skip "programs cannot run below $P"
}

# bats test_tags=slow
@test "V18: files of others: taken when readable, told when not" {
	foreign rconf
	pfile 1 >"$IN/read"
	pfile 2 >"$IN/secret"
	chmod 0600 "$IN/secret"
	chown nobody "$IN"/*
	as_owner
	equal 1 "$status" "$stderr"
	equal 'accepted 1 rejected 0 suppressed 0' "$output"
	equal "$IN/secret: cannot be read: Permission denied" "$stderr"
	equal secret "$(left)"
	equal 1 "$(numbers)"
	# a directory where names belong to who made them
	chown root "$IN"
	chmod 1777 "$IN"
	pfile 3 >"$IN/sticky"
	chown nobody "$IN/sticky"
	as_owner
	equal 1 "$status" "$stderr"
	equal "$(printf '%s\n' secret sticky)" "$(left)"
	equal 1 "$(numbers)"
}

# bats test_tags=slow
@test "a file of another that is open: left with CAP_LEASE, which the unit has" {
	foreign pconf
	setpriv --reuid=daemon --clear-groups --ambient-caps=+lease \
		--inh-caps=+lease true || skip 'no CAP_LEASE to give'
	pfile 1 >"$IN/f"
	chown nobody "$IN/f"
	exec 6>>"$IN/f"
	as_owner --ambient-caps=+lease --inh-caps=+lease
	equal 0 "$status" "$stderr"
	equal f "$(left)"
	exec 6>&-
	as_owner --ambient-caps=+lease --inh-caps=+lease
	equal 0 "$status" "$stderr"
	equal 1 "$(numbers)"
}

@test "a full disk: 75, and the files stay" {
	need_root
	mkdir "$P/full"
	mount -t tmpfs -o size=2m,mode=0700 vmta-test "$P/full" 2>/dev/null ||
		skip "needs to mount a tmpfs"
	rconf "spool = $P/full" 'min-free-space = 0' 'min-free-inodes = 0'
	sed -i "s|'spool/pickup', 'in source|'in in/.bad source|" \
		"$P/etc/vmta.conf"
	pfile 1 | drop small
	taken 0 1 0
	head -c 3000000 /dev/zero >"$P/full/ballast" 2>/dev/null || true
	pfile 2 | drop small
	bsmtp 5 | drop batch
	take
	equal 75 "$status" "$stderr"
	equal "$(printf '%s\n' batch small)" "$(left | sed 's,.*/,,')"
	rm "$P/full/ballast"
	# batch SMTP that fills it: what was accepted is not taken again
	rm "$IN/batch"
	bsmtp 20000 >"$IN/batch"
	take
	equal 75 "$status" "$stderr"
	mount -o remount,size=100m "$P/full"
	take
	equal 0 "$status" "$stderr"
	taken 0 0 0
	P=$P/full
	mkdir -p "$P/spool"
	mv "$P/queue" "$P/spool"
	equal "$({ echo 1; echo 2; seq 20000; } | sort -n | md5sum)" \
		"$(numbers | md5sum)"
	P=${P%/full}
	equal '' "$(left)"
}
