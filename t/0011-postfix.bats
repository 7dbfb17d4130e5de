# The real peers: a whole Postfix on loopback, and smtp-sink.

load helper/common
load helper/postfix

teardown() {
	end_test
}

@test "a whole Postfix delivers to its maildir, with CHUNKING and without" {
	need_postfix_mta
	need_command swaks
	start_postfix
	swaks --server "$POSTFIX_ADDR" --ehlo client.example --from a@s.example \
		--to b@r.example --body hello >"$BATS_TEST_TMPDIR/swaks"
	grep -q CHUNKING "$BATS_TEST_TMPDIR/swaks"
	wait_until postfix_has 1
	grep -rq '^hello' "$POSTFIX_DIR/mail/maildir/new"
	grep -rq '^Return-Path: <a@s.example>' "$POSTFIX_DIR/mail/maildir/new"
	stop_postfix
	start_postfix -n second smtpd_discard_ehlo_keywords=chunking,silent-discard
	talk "$POSTFIX_ADDR" >"$BATS_TEST_TMPDIR/ehlo" <<-'END'
		< 220
		> EHLO client.example
		<<
	END
	grep -q PIPELINING "$BATS_TEST_TMPDIR/ehlo"
	refute grep -q CHUNKING "$BATS_TEST_TMPDIR/ehlo"
}

@test "smtp-sink takes mail" {
	need_postfix
	need_command swaks
	start_smtp_sink
	swaks --server "$SMTP_SINK_ADDR" --from a@s.example --to b@r.example \
		--body hello >"$BATS_TEST_TMPDIR/swaks"
}
