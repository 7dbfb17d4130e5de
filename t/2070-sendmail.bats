# vmta-inject called as sendmail: what scripts, cron and mail programs rely on.

# shellcheck disable=SC2154 # run sets stderr
bats_require_minimum_version 1.5.0
load helper/common
load helper/runq

setup() {
	make_prefix
	start_sink -s
	SM=$BATS_TEST_TMPDIR/sbin/sendmail
	mkdir "${SM%/*}"
	ln -s "$BUILD/bin/vmta-inject" "$SM"
	rconf1
}

teardown() {
	end_test
}

# all ITEM...: of each message in the spool `RCPT` lines, sorted.
queued() {
	vqueue list --all --format csv | csv rcpt orig | tr '\t' ' ' | sort
}

# content: the messages that were delivered.
delivered() {
	deliver
	sink_flush
	cat "$SINK_DIR"/store/*.eml | tr -d '\r'
}

ME=$(id -un)

@test "recipients: operands, -t, or both; Bcc goes" {
	printf 'Subject: s\n\nx\n' | "$SM" a@one.example b@one.example
	printf 'To: c@one.example\nBcc: d@one.example\nSubject: s\n\nx\n' |
		"$SM" -t e@one.example
	equal "a@one.example $ME@mta.example
b@one.example $ME@mta.example
c@one.example $ME@mta.example
d@one.example $ME@mta.example
e@one.example $ME@mta.example" "$(queued)"
	refute grep -qi ^bcc <(delivered)
}

@test "an operand may be a list; each of it, or nothing" {
	echo x | "$SM" 'root,b@one.example, "x, y"@one.example' c@one.example
	equal "\"x, y\"@one.example $ME@mta.example
b@one.example $ME@mta.example
c@one.example $ME@mta.example
root@mta.example $ME@mta.example" "$(queued)"
	for bad in ',' 'a@one.example,b@' 'a,b@x..example' $'a,\nb'; do
		run --separate-stderr -65 "$SM" c@one.example "$bad" <<<x
		[[ $stderr == *recipient* ]]
	done
	run -65 inject 'a@one.example,b@one.example' <<<x
	waiting 4
}

@test "-f, -r and -F; From is added where it is absent" {
	printf 'Subject: 1\n\nx\n' | "$SM" -f f@s.example -F 'Joe "J" Doe' a@one.example
	printf 'Subject: 2\n\nx\n' | "$SM" -rr@s.example -F 'Jürgen Groß' a@one.example
	printf 'From: me@s.example\nSubject: 3\n\nx\n' | "$SM" -f f@s.example a@one.example
	printf 'Subject: 4\n\nx\n' | "$SM" -f '<>' a@one.example
	delivered >"$BATS_TEST_TMPDIR/mail"
	grep -Fqx 'From: "Joe \"J\" Doe" <f@s.example>' "$BATS_TEST_TMPDIR/mail"
	grep -Fqx 'From: =?utf-8?b?SsO8cmdlbiBHcm/Dnw==?=' "$BATS_TEST_TMPDIR/mail"
	grep -Fqx ' <r@s.example>' "$BATS_TEST_TMPDIR/mail"
	grep -Fqx 'From: me@s.example' "$BATS_TEST_TMPDIR/mail"
	grep -Fqx "From: <$ME@mta.example>" "$BATS_TEST_TMPDIR/mail"
	equal 4 "$(grep -c ^From: "$BATS_TEST_TMPDIR/mail")"
}

@test "a lone dot ends the message, unless -i or -oi" {
	printf 'Subject: s\n\nbefore\n.\nafter\n' >"$BATS_TEST_TMPDIR/m"
	"$SM" a@one.example <"$BATS_TEST_TMPDIR/m"
	refute grep -q after <(delivered)
	rm "$SINK_DIR"/store/*
	"$SM" -i b@one.example <"$BATS_TEST_TMPDIR/m"
	"$SM" -oi -t c@one.example <"$BATS_TEST_TMPDIR/m"
	inject -f s@s.example d@one.example <"$BATS_TEST_TMPDIR/m"
	equal 3 "$(delivered | grep -c after)"
	sink_strict
}

@test "names of this host: domain-suffix, host-name, aliases, postmaster" {
	printf 'To: root\nCc: Anna, bert@intra\nSubject: s\n\nx\n' | "$SM" -t
	equal "Anna@mta.example $ME@mta.example
bert@intra $ME@mta.example
root@mta.example $ME@mta.example" "$(queued)"
	vqueue delete --all
	echo "postmaster = ops@two.example" >>"$P/etc/vmta.conf"
	echo "alias = {'anna bert@one.example', 'www-data root', 'x@y.example ops@two.example'}" \
		>>"$P/etc/vmta.conf"
	printf 'To: root, www-data, anna\nSubject: s\n\nx\n' | "$SM" -t x@y.example
	# three of them are one person
	equal "bert@one.example $ME@mta.example
ops@two.example $ME@mta.example" "$(queued)"
	vqueue delete --all
	sed -i "1i domain-suffix = corp.example" "$P/etc/vmta.conf"
	printf 'Subject: s\n\nx\n' | "$SM" -f anna carl dora@intra
	equal "carl@corp.example anna@corp.example
dora@intra.corp.example anna@corp.example" "$(queued)"
	vqueue delete --all
	# cron's mail
	printf 'From: root (Cron Daemon)\nTo: root\nSubject: Cron\n\nx\n' |
		"$SM" -FCronDaemon -i -B8BITMIME -oem root
	equal "ops@two.example $ME@corp.example" "$(queued | sed 's/mta.example/corp.example/')"
}

@test "aliases apply after the choice of the VirtualMTA; a circle is refused" {
	rconf "" <<-END
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.1 v2.example' }
		alias = {'a@one.example b@two.example', 'p@x.example q@x.example', 'q@x.example p@x.example'}
		source 'user:$ME' { pattern-list = r }
		pattern-list r { match = 'rcpt-to /@one/ virtual-mta=v2' }
	END
	printf 'Subject: s\n\nx\n' | "$SM" a@one.example b@two.example
	equal b@two.example/two.example/v1 \
		"$(vqueue list --all --format csv | csv rcpt queue | tr '\t' /)"
	vqueue delete --all
	printf 'Subject: s\n\nx\n' | "$SM" a@one.example
	equal b@two.example/two.example/v2 \
		"$(vqueue list --all --format csv | csv rcpt queue | tr '\t' /)"
	run --separate-stderr -65 "$SM" p@x.example <<<'x'
	[[ $stderr == *circle* ]]
	waiting 1
}

@test "-N, -R and -V are the parameters of DSN" {
	printf 'To: b@one.example\n\nx\n' |
		"$SM" -N success,failure -R hdrs -V 'id 1' -t a@one.example
	printf 'x\n' | "$SM" -N never -R full c@one.example
	deliver
	equal 2 "$(sink_log msg | field rcpt |
		grep -o 'NOTIFY=SUCCESS,FAILURE' | wc -l)"
	sink_log msg | field from | grep -q 'RET=HDRS ENVID=id+201'
	sink_log msg | field rcpt | grep -q 'c@one.example> NOTIFY=NEVER'
	for bad in '-N sometimes' '-N never,delay' '-R some' '-bp' '-bv' '-Q'; do
		# shellcheck disable=SC2086
		run --separate-stderr -64 "$SM" $bad a@one.example <<<'x'
		equal 1 "${#stderr_lines[@]}" "lines of $stderr"
	done
}

@test "options that only say how to send are taken; -bi does nothing" {
	echo x | "$SM" -v -oem -om -odb -O Timeout=1 -B8BITMIME -h 3 -p x -L tag \
		-X /dev/null -G -U -m -n -e m -q15m -A c a@one.example
	"$SM" -bi
	waiting 1
	run --separate-stderr -65 "$SM" </dev/null
	[[ $stderr == "sendmail: no recipients"* ]]
}

@test "-bs: SMTP in a pipe, pipelined, each 250 durable" {
	{
		printf 'EHLO x\r\nMAIL FROM:<s@s.example> SIZE=10 RET=HDRS ENVID=e\r\n'
		printf 'RCPT TO:<a@one.example> NOTIFY=NEVER\r\nRCPT TO:<root>\r\n'
		printf 'RCPT TO:<b@one.example>\r\nDATA\r\n'
		printf 'Subject: s\r\n\r\n..dot\r\n.x\r\n.\r\n'
		printf 'MAIL FROM:<>\nRCPT TO:<c@one.example>\nDATA\ny\n.\nNOOP\n'
		printf 'VRFY x\r\nRSET\r\nHELO x\r\nQUIT\r\nMAIL FROM:<no>\r\n'
	} >"$BATS_TEST_TMPDIR/in"
	"$SM" -bs <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out"
	equal '220 250 250 250 250 250 250 250 250 250 250 250 250 250 250 250 250 354 250 250 250 354 250 250 252 250 250 221' \
		"$(tr -d '\r' <"$BATS_TEST_TMPDIR/out" | cut -c 1-3 | xargs)"
	grep -q '^250 2.0.0 Ok: queued as [0-9a-v]\{21\}' "$BATS_TEST_TMPDIR/out"
	equal 4 "$(vqueue count)"
	delivered >"$BATS_TEST_TMPDIR/mail"
	# once for each of the two domains
	equal 2 "$(grep -c '^\.dot$' "$BATS_TEST_TMPDIR/mail")"
	equal 2 "$(grep -c '^x$' "$BATS_TEST_TMPDIR/mail")"
}

@test "-bs: what is refused, and why" {
	{
		printf 'DATA\r\nRCPT TO:<a@b.example>\r\nMAIL TO:<a@b.example>\r\n'
		printf 'MAIL FROM:<a\x01b@c.example>\r\nMAIL FROM:<a@b.example> X=1\r\n'
		printf 'MAIL FROM:<a@b.example>\r\nMAIL FROM:<a@b.example>\r\nDATA\r\n'
		printf 'RCPT TO:<a@b.example>\r\nDATA x\r\nDATA\r\na\rb\r\n.\r\n'
		printf 'FOO\r\n%05000d\r\nEHLO\r\nQUIT\r\n' 0
	} >"$BATS_TEST_TMPDIR/in"
	"$SM" -bs <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out"
	equal '220 503 503 501 501 501 250 503 554 250 501 354 554 500 500 501 221' \
		"$(tr -d '\r' <"$BATS_TEST_TMPDIR/out" | cut -c 1-3 | xargs)"
	waiting 0
}

@test "-bs: input that ends inside a message leaves nothing" {
	printf 'MAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\nDATA\r\nx\r\n' |
		"$SM" -bs
	waiting 0
	# one octet at a time, dots at every place
	printf 'MAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n.\r.\r\n..\r\n...\r\n.\r\n' \
		>"$BATS_TEST_TMPDIR/in"
	run -0 "$SM" -bs < <(while IFS= read -r -d '' -n 1 c ||
		[ -n "$c" ]; do printf '%s' "$c"; done <"$BATS_TEST_TMPDIR/in")
	[[ $output == *'554 5.6.0'*'CR without LF'* ]]
}
