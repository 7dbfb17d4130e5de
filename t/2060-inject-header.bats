# Header fields that a source's settings obey, add and take out.

# shellcheck disable=SC2154 # run sets stderr
bats_require_minimum_version 1.5.0
load helper/common
load helper/runq

setup() {
	make_prefix
	start_sink -s
}

teardown() {
	end_test
}

# source SETTING...: the configuration, with these for the user's source.
source_conf() {
	rconf <<-END
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.1 v2.example' }
		virtual-mta-pool p { virtual-mta = {'v1', 'v2'} }
		source 'user:$(id -un)' { $* }
	END
}

# header FIELD...: a message with these header fields on stdout.
header() {
	printf '%s\n' "$@" 'Subject: x' '' body
}

# stored: all contents that the sink has, line ends as LF.
stored() {
	sink_flush
	cat "$SINK_DIR"/store/*.eml | tr -d '\r'
}

@test "X-Job, jobid-header and jobid-prefix give the job" {
	source_conf 'process-x-job = yes  jobid-header = X-Campaign'
	header 'X-Job: from-x-job' 'X-Campaign: c' | inject -f s@s.example a@one.example
	header 'X-Campaign: c' | inject -f s@s.example b@one.example
	header 'X-Job: from-x-job' | inject -f s@s.example --job given c@one.example
	header 'X-Job: no' | inject -f s@s.example d@one.example
	source_conf 'jobid-prefix = pre-'
	header 'X-Job: no' | inject -f s@s.example --job given e@one.example
	header 'X-Job: no' | inject -f s@s.example f@one.example
	equal 'a@one.example from-x-job
b@one.example c
c@one.example given
d@one.example no
e@one.example pre-given
f@one.example ' "$(vqueue list --all --format csv | csv rcpt jobId |
		tr '\t' ' ' | sort)"
	deliver
	refute grep -qi '^x-job' <(stored)
	stored | grep -q '^X-Campaign: c'
}

@test "X-Job stays where it is to be retained; a job that cannot be is refused" {
	source_conf 'process-x-job = yes  retain-x-job = yes'
	header 'X-Job: j1' | inject -f s@s.example a@one.example
	run --separate-stderr -65 inject -f s@s.example b@one.example \
		< <(header "X-Job: $(printf 'x%.0s' {1..300})")
	run --separate-stderr -65 inject -f s@s.example b@one.example \
		< <(header $'X-Job: a\tb')
	deliver
	stored | grep -q '^X-Job: j1'
	all_final 1
}

@test "X-Envid, where the source may; control fields never leave" {
	header 'X-Envid: e+1' 'X-DKIM-Key: secret' 'X-DKIM-Options: s=x' \
		'X-Schedule: x' 'X-Virtual-MTA: v1' >"$BATS_TEST_TMPDIR/m"
	source_conf
	inject -f s@s.example a@one.example <"$BATS_TEST_TMPDIR/m"
	equal '' "$(vqueue list --all --format csv | csv envId)"
	source_conf 'process-x-envid = yes'
	inject -f s@s.example b@one.example <"$BATS_TEST_TMPDIR/m"
	inject -f s@s.example --envid given c@one.example <"$BATS_TEST_TMPDIR/m"
	deliver
	equal 'e+2B1 given' "$(journal envId type=d | sort | xargs)"
	refute grep -Eqi '^x-(envid|dkim|schedule|virtual)|secret' <(stored)
}

@test "Date, Message-ID and Received as the source has it" {
	source_conf
	header | inject -f s@s.example a@one.example
	deliver
	equal 2 "$(stored | grep -Ec '^(Date|Message-ID): ')"
	equal 0 "$(stored | grep -c '^Received: ')"
	rm "$SINK_DIR"/store/*
	source_conf 'add-date-header = no  add-message-id-header = no  add-received-header = yes'
	header | inject -f s@s.example a@one.example
	deliver
	equal 0 "$(stored | grep -Ec '^(Date|Message-ID): ')"
	stored | head -n 3 | tr -d '\n' | grep -Eq \
		"^Received: from localhost \(user:$(id -un)\).by mta.example \(vmta\) id [0-9a-v]{21};.[A-Z][a-z]{2}, "
	rm "$SINK_DIR"/store/*
	source_conf 'add-received-header = yes  hide-message-source = yes'
	header | inject -f s@s.example a@one.example
	deliver
	stored | grep -q '^Received: by mta.example (vmta) id '
	refute grep -q "$(id -un)" <(stored)
}

@test "Feedback-ID, CFBL-Address and X-Virtual-MTA say what a target is" {
	source_conf 'feedback-id = acme1  cfbl-address = fbl@s.example' \
		'add-x-virtual-mta-header = yes  pattern-list = r'
	cat >>"$P/etc/vmta.conf" <<-'END'
		pattern-list r {
			match = {'rcpt-to /^pool/ virtual-mta=p', '* virtual-mta=v2'}
		}
	END
	header | inject -f s@s.example --job 'week 47' \
		a@one.example pool1@one.example pool2@one.example
	deliver
	equal 'CFBL-Address: fbl@s.example; report=arf' \
		"$(stored | grep ^CFBL | sort -u)"
	# one message, two targets: a content each
	equal 'Feedback-ID: week_47:p:acme1
Feedback-ID: week_47:v2:acme1' "$(stored | grep ^Feedback-ID | sort -u)"
	equal 'X-Virtual-MTA: p
X-Virtual-MTA: v2' "$(stored | grep ^X-Virtual | sort -u)"
	equal 1 "$(journal msgId type=d | sort -u | wc -l)"
	rm "$SINK_DIR"/store/*
	header 'Feedback-ID: mine' 'cfbl-address: mine' |
		inject -f s@s.example a@one.example
	deliver
	equal 'Feedback-ID: mine
cfbl-address: mine' "$(stored | grep -Ei '^(feed|cfbl)' | sort)"
	all_final 4
}

@test "remove-header takes fields out, folded ones whole" {
	source_conf "remove-header = {'X-Secret', 'user-agent'}"
	header $'X-Secret: a\n b' 'User-Agent: u' 'X-Other: o' |
		inject -f s@s.example a@one.example
	deliver
	refute grep -Eqi '^(x-secret| b|user-agent)' <(stored)
	stored | grep -q '^X-Other: o'
}

@test "include-headers-from: fields of a file, by VirtualMTA; a bad file is refused" {
	printf 'X-Brand: one\nX-Long: a\n b\n' >"$P/etc/h1"
	source_conf 'default-virtual-mta = v1'
	sed -i "s/virtual-mta v1 {/& include-headers-from = h1/" \
		"$P/etc/vmta.conf"
	header | inject -f s@s.example a@one.example
	header | inject -f s@s.example --vmta v2 b@one.example
	deliver
	equal 1 "$(stored | grep -c '^X-Brand: one')"
	equal 'X-Brand: one' "$(stored | grep -h -B 1 -A 1 '^X-Long' | head -n 1)"
	printf 'X-Brand: one\n\nbody\n' >"$P/etc/h1"
	run --separate-stderr -78 inject -f s@s.example a@one.example < <(header)
	[[ $stderr == *"not only header fields"* ]]
	rm "$P/etc/h1"
	run --separate-stderr -78 inject -f s@s.example a@one.example < <(header)
	nothing_waits
}

@test "bcc: a copy for each message, once" {
	source_conf "bcc = {'archive@two.example'}"
	header | inject -f s@s.example a@one.example
	header | inject -f s@s.example b@one.example Archive@two.example
	deliver
	equal 4 "$(journal rcpt type=d | wc -l)"
	equal 2 "$(journal rcpt type=d | grep -ic ^archive)"
	all_final 4
}

@test "max-message-hops: a loop is refused" {
	source_conf 'max-message-hops = 3'
	header Received:\ {1,2,3} | inject -f s@s.example a@one.example
	run --separate-stderr -65 inject -f s@s.example a@one.example \
		< <(header Received:\ {1,2,3,4})
	[[ $stderr == *'mail loop'* ]]
	waiting 1
}

@test "VERP: each recipient has a sender of his own" {
	source_conf
	header | inject -f news@s.example --verp a@one.example '"b c"@two.example'
	header | inject -f '<>' --verp d@one.example
	deliver
	equal '<"news-b c=two.example"@s.example>
<>
<news-a=one.example@s.example>' \
		"$(sink_log msg | field from | sed 's/ SIZE=.*//' | sort)"
	all_final 3
	source_conf 'verp-default = yes'
	header | inject -f news@s.example e@one.example
	deliver
	equal 'news-e=one.example@s.example' \
		"$(journal orig rcpt=e@one.example type=d)"
}
