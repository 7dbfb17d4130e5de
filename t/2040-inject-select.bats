# Which VirtualMTA a message gets: by what it names, by its header, by rules.

# shellcheck disable=SC2154 # run sets stderr
bats_require_minimum_version 1.5.0
load helper/common
load helper/inject

setup() {
	make_prefix
}

teardown() {
	end_test
}

# The rules that most tests use; lines of the user's own source follow.
rules() {
	iconf "pattern-list routes { match = {
		'mail-from /^abc@/ virtual-mta=b',
		'header X-Stream /urgent/ virtual-mta=c,recipient-priority=90',
		'rcpt-to /@x\\.example\$/ call-to:xlist',
		'* virtual-mta=even'} }" \
		"pattern-list xlist { match = 'rcpt-to /^vip@/ virtual-mta=c,recipient-priority=100' }" \
		"source 'user:$(id -un)' { pattern-list = routes $* }"
}

# queued: `RCPT VMTA PRIORITY` of what is in the spool.
queued() {
	vqueue list --format csv --all | csv rcpt queue priority |
		sed 's/\t[^\t]*\//\t/; s/\t/ /g' | sort
}

@test "rules: by sender, header and recipient, each recipient by itself" {
	rules
	message | inject -f abc@s.example one@x.example
	equal 'one@x.example b 50' "$(queued)"
	{
		echo 'X-Stream: very urgent'
		message
	} | inject -f s@s.example two@y.example
	equal 'one@x.example b 50
two@y.example c 90' "$(queued)"
	message | inject -f s@s.example vip@x.example u@x.example
	equal c "$(queued | sed -n 's/^vip@x.example \(.\) 100$/\1/p')"
	[[ $(queued) =~ u@x.example\ [abc]\ 50 ]]
	# one submission, one content, whatever the number of VirtualMTAs
	equal 1 "$(vqueue list --format csv --all | csv id rcpt |
		grep x.example | grep -v one | cut -f 1 | sort -u | wc -l)"
}

@test "what is named comes before the header, the header before the rules" {
	rules 'process-x-virtual-mta = yes'
	{
		echo 'X-Virtual-MTA: c'
		message
	} >"$BATS_TEST_TMPDIR/m"
	inject -f abc@s.example --vmta a one@x.example <"$BATS_TEST_TMPDIR/m"
	inject -f abc@s.example two@x.example <"$BATS_TEST_TMPDIR/m"
	message | inject -f abc@s.example three@x.example
	equal 'one@x.example a 50
three@x.example b 50
two@x.example c 50' "$(queued)"
}

@test "X-Virtual-MTA never leaves, unless it is to be retained" {
	{
		echo 'X-Virtual-MTA: c'
		message
	} >"$BATS_TEST_TMPDIR/m"
	rules
	inject -f s@s.example one@x.example <"$BATS_TEST_TMPDIR/m"
	refute grep -rqi x-virtual-mta "$P/spool/queue"
	rules 'process-x-virtual-mta = yes'
	inject -f s@s.example one@x.example <"$BATS_TEST_TMPDIR/m"
	refute grep -rqi x-virtual-mta "$P/spool/queue"
	rules 'retain-x-virtual-mta = yes'
	inject -f s@s.example one@x.example <"$BATS_TEST_TMPDIR/m"
	grep -rq X-Virtual-MTA "$P/spool/queue"
}

@test "an unknown or forbidden X-Virtual-MTA refuses the message" {
	rules "process-x-virtual-mta = yes  allow-virtual-mta = {'b'}"
	printf 'X-Virtual-MTA: nix\nSubject: x\n\nx\n' |
		refused 65 'unknown VirtualMTA' -f s@s.example a@x.example
	printf 'X-Virtual-MTA: c\nSubject: x\n\nx\n' |
		refused 65 'may not use' -f s@s.example a@x.example
	printf 'X-Virtual-MTA:\nSubject: x\n\nx\n' |
		refused 65 'names nothing' -f s@s.example a@x.example
}

@test "the submitter's priority comes before that of a rule" {
	rules
	message | inject -f s@s.example --priority 3 vip@x.example
	equal 'vip@x.example c 3' "$(queued)"
	message | inject -f s@s.example --vmta a vip@x.example
	equal 'vip@x.example a 100
vip@x.example c 3' "$(queued)"
}

@test "vmta-check route explains each step" {
	rules 'process-x-virtual-mta = yes'
	run -0 vmta-check route -f abc@s.example r@y.example
	equal "r@y.example	b	virtual-mta	-	pattern-list routes, rule 1: mail-from /^abc@/ virtual-mta=b" \
		"$output"
	run -0 vmta-check route --header 'X-Stream: urgent' --vmta p \
		vip@x.example
	equal "vip@x.example	p	virtual-mta-pool	90	named by the submission; pattern-list routes, rule 2: header X-Stream /urgent/ virtual-mta=c,recipient-priority=90" \
		"$output"
	run -0 vmta-check route vip@x.example u@x.example
	equal "vip@x.example	c	virtual-mta	100	pattern-list xlist, rule 1: rcpt-to /^vip@/ virtual-mta=c,recipient-priority=100" \
		"${lines[0]}"
	[[ ${lines[1]} == "u@x.example	even	virtual-mta-pool	-	pattern-list routes, rule 4: "* ]]
	run -0 vmta-check route --source user:other r@y.example
	[[ $output == *"	a	virtual-mta	-	default-virtual-mta"* ]]
	run -0 vmta-check route --header 'X-Virtual-MTA: c' --merge-vmta b
	[[ $output == "-	b	virtual-mta	-	*vmta of the mail merge"* ]]
	equal '' "$(spool_files | grep queue)"
}

@test "vmta-check route: what would be refused, is, with 65" {
	rules
	run --separate-stderr -65 vmta-check route --vmta nix r@y.example
	[[ $stderr == *'unknown VirtualMTA'* ]]
	run --separate-stderr -65 vmta-check route 'no address'
	run --separate-stderr -64 vmta-check route --header nothing
	run --separate-stderr -65 vmta-check route --header 'X: a
	b: c
d'
}

@test "a rule whose expression is none, or explodes, is refused at its line" {
	for re in '(' '(a+)+$' 'a{2,1}'; do
		iconf "pattern-list p {" "match = 'mail-from /$re/ virtual-mta=a' }"
		run --separate-stderr -78 vmta-check config
		[[ $stderr == *"vmta.conf:10: match: /$re/: "* ]]
	done
	iconf "pattern-list p { match = '* call-to:q' }" \
		"pattern-list q { match = '* call-to:p' }"
	run --separate-stderr -78 vmta-check config
	[[ $stderr == *"calls itself"* ]]
}
