# The odd messages and the comparison: what the receivers themselves do to
# them is nothing.

load helper/common
load helper/postfix

setup() {
	CORPUS=$BATS_TEST_TMPDIR/corpus
	python3 "$HELPER/gen.py" corpus "$CORPUS"
}

teardown() {
	end_test
}

@test "300 messages, the same ones for the same seed" {
	equal 300 "$(find "$CORPUS" -name '*.eml' | wc -l)"
	python3 "$HELPER/gen.py" corpus "$CORPUS.2"
	diff -r "$CORPUS" "$CORPUS.2"
	python3 "$HELPER/gen.py" corpus "$CORPUS.3" --seed 2 --count 3
	run cmp "$CORPUS/0002.eml" "$CORPUS.3/0002.eml"
	[ "$status" = 1 ]
}

@test "they come through the sink, by DATA and by BDAT" {
	local how
	for how in '' --bdat; do
		start_sink -n "s$how" -s
		python3 "$HELPER/send.py" "$CORPUS" "$SINK_ADDR" $how
		sink_strict "s$how"
		python3 "$HELPER/compare.py" "$CORPUS" \
			--store "$SINK_DIR/store" --log "$SINK_LOG"
	done
}

@test "they come through a whole Postfix, by DATA and by BDAT" {
	need_postfix_mta
	local how rcpts
	rcpts=$(cat "$CORPUS"/*.rcpt | wc -l)
	for how in '' --bdat; do
		start_postfix -n "p$how"
		python3 "$HELPER/send.py" "$CORPUS" "$POSTFIX_ADDR" $how
		wait_until postfix_has "$rcpts"
		python3 "$HELPER/compare.py" "$CORPUS" \
			--maildir "$POSTFIX_DIR/mail/maildir"
		stop_postfix
	done
}

@test "the comparison sees what is lost, doubled or changed" {
	local store
	start_sink -s
	python3 "$HELPER/send.py" "$CORPUS" "$SINK_ADDR"
	sink_flush
	store=$SINK_DIR/store
	compare() {
		run python3 "$HELPER/compare.py" "$CORPUS" \
			--store "$store" --log "$1"
		equal "$2" "$status" "$output"
		[[ $output == *"$3"* ]]
	}
	compare "$SINK_LOG" 0 'all the same'
	sed '/seq=17\t/d' "$SINK_LOG" >"$SINK_LOG.lost"
	compare "$SINK_LOG.lost" 1 '0017: missing'
	sed '/seq=18\t/p' "$SINK_LOG" >"$SINK_LOG.twice"
	compare "$SINK_LOG.twice" 1 '0018: too many'
	sed -i '$s/.$/~/' "$store/00000020.eml"
	compare "$SINK_LOG" 1 '0020'
}

@test "the newsletter is a newsletter" {
	python3 "$HELPER/gen.py" newsletter >"$BATS_TEST_TMPDIR/one"
	python3 - "$BATS_TEST_TMPDIR/one" <<-'END'
		import email, email.policy, sys
		m = email.message_from_binary_file(open(sys.argv[1], "rb"),
		                                   policy=email.policy.default)
		assert "Grüße" in m["Subject"], m["Subject"]
		kinds = [p.get_content_type() for p in m.walk()]
		assert kinds[1:] == ["multipart/alternative", "text/plain",
		                     "text/html", "image/png"], kinds
		assert not m.defects
	END
	size=$(wc -c <"$BATS_TEST_TMPDIR/one")
	[ "$size" -gt 29000 ] && [ "$size" -lt 32000 ]
	python3 "$HELPER/gen.py" newsletter --bsmtp --count 9 --domain a.example \
		--domain b.example --domain c.example >"$BATS_TEST_TMPDIR/nine"
	equal 9 "$(grep -c '^RCPT TO:<user[0-9]@[abc].example>$' \
		"$BATS_TEST_TMPDIR/nine")"
}
