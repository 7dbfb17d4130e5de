# A real Postfix receives while the daemon is killed again and again: what its
# mail log says it delivered is what the accounting says, and the duplicates.
# bats file_tags=slow

load helper/common
load helper/postfix
load helper/runq
load helper/crash

setup() {
	make_prefix
	crash_seed
	KILLS=3 TOTAL=200
	[ -z "${VMTA_CRASH_FULL:-}" ] || KILLS=20 TOTAL=2000
}

teardown() {
	end_test
}

# The recipients that Postfix's log says were put in a mailbox, one a line.
delivered() {
	sed -n 's/^.* postfix\/virtual\[.* to=<\([^>]*\)>.* status=sent .*/\1/p' \
		"$POSTFIX_DIR/log"
}

# log_has N (for wait_until)
log_has() {
	[ "$(delivered | wc -l)" -ge "$1" ]
}

# What it took, each message once: Postfix logs it before it answers.
queued() {
	grep -c ' postfix/qmgr\[.*: from=<.*nrcpt=' "$POSTFIX_DIR/log"
}

# queue_empty: no message is on its way in Postfix.
queue_empty() {
	[ -z "$(find "$POSTFIX_DIR"/queue/{incoming,active,deferred,maildrop} \
		-type f)" ]
}

# arrived N: has Postfix taken so many, or is it all?
arrived() {
	gone "$RUNQ_PID" || [ "$(queued)" -ge "$1" ]
}

@test "kills, and a real Postfix's mail log: it agrees with the accounting" {
	local i sum twice lost
	need_postfix_mta
	start_postfix
	HOSTS="'[${POSTFIX_ADDR%:*}]:${POSTFIX_ADDR##*:}'" \
		rconf1 'max-smtp-out = 5'
	send_many 1 "$TOTAL" a.example b.example c.example d.example
	for ((i = 0; i < KILLS; i++)); do
		start_runq
		wait_until arrived $((TOTAL * i / KILLS + RANDOM % (TOTAL / \
			KILLS) + 1))
		alive "$RUNQ_PID" || break
		kill -s KILL "$RUNQ_PID"
		wait "$RUNQ_PID" 2>/dev/null || true
	done
	[ $i -ge $((KILLS / 2)) ] || fail "$i kills met a run"
	deliver
	deliver --now
	all_final "$TOTAL"
	equal '' "$(journal type type=b)" bounced
	wait_until queue_empty
	delivered >"$P/delivered"
	sort -u "$P/delivered" >"$P/once"
	lost=$((TOTAL - $(wc -l <"$P/once")))
	twice=$(($(wc -l <"$P/delivered") - TOTAL + lost))
	tally "kills=$i" "recipients=$TOTAL" "duplicates=$twice" "lost=$lost"
	equal 0 "$lost" lost
	[ "$twice" -le $((256 * i)) ] || fail "$twice sent twice"
	# each delivery of the log is a final record, or a duplicate
	sum=$(python3 "$HELPER/acct.py" load -- "$P"/log/acct*.csv)
	equal "$TOTAL $TOTAL $TOTAL 0" "$sum" 'accounting by Python'
	need_command sqlite3
	equal "$sum" "$(loaded "$P"/log/acct*.csv)" 'accounting by sqlite3'
	python3 "$HELPER/acct.py" rows rcpt type=d -- "$P"/log/acct*.csv |
		sort | diff - "$P/once"
	equal $((TOTAL + twice)) \
		"$(find "$POSTFIX_DIR/mail/maildir/new" -type f | wc -l)" \
		'messages in the mailbox'
}
