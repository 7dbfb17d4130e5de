# The corpus of gen.py in a spool, and its deliveries compared octet for octet
# with what was injected.
#
#	load helper/common
#	load helper/runq
#	load helper/corpus
#	setup_file() { corpus_inject; }
# shellcheck shell=bash disable=SC2034 # see common.bash

# corpus_inject: once for all tests of a file, $CORPUS with 300 messages for
# $RCPTS recipients, a prefix $SINGLE into whose spool they were injected one
# by one, and one, $STREAM, into which they came as a stream.
corpus_inject() {
	local eml rcpts
	export CORPUS=$BATS_FILE_TMPDIR/corpus
	python3 "$HELPER/gen.py" corpus "$CORPUS"
	export RCPTS
	RCPTS=$(cat "$CORPUS"/*.rcpt | wc -l)
	make_prefix
	export SINGLE=$P
	SINK_PORT=1 rconf1
	for eml in "$CORPUS"/*.eml; do
		mapfile -t rcpts <"${eml%.eml}.rcpt"
		inject -f "m-$(basename "$eml" .eml)@sender.example" \
			"${rcpts[@]}" <"$eml" || return 1
	done
	waiting "$RCPTS"
	make_prefix
	export STREAM=$P
	SINK_PORT=1 rconf1
	python3 "$HELPER/corpus.py" bsmtp "$CORPUS" |
		inject --bsmtp >"$BATS_FILE_TMPDIR/said"
	equal 'accepted 300 rejected 0 suppressed 0' \
		"$(cat "$BATS_FILE_TMPDIR/said")"
	waiting "$RCPTS"
}

# loaded SPOOL: a prefix with a copy of that spool.
loaded() {
	make_prefix
	cp -a "$1/spool/." "$P/spool"
}

# to_peer SPOOL ADDRESS:PORT [SETTING...]: deliver to that peer.
to_peer() {
	loaded "$1"
	HOSTS="'[${2%:*}]:${2##*:}'" rconf1 "${@:3}"
	deliver
}

# same_in_maildir DIR [OPTION...]: has it what was injected? The options are
# those of compare.py.
same_in_maildir() {
	python3 "$HELPER/compare.py" "$CORPUS" --maildir "$@"
}

# without_utf8 DIR: a copy of the corpus without 8-bit headers.
without_utf8() {
	local eml
	cp -r "$CORPUS" "$1"
	for eml in "$1"/*.eml; do
		! grep -q '^X-Greeting:' "$eml" || rm "$eml" "${eml%.eml}.rcpt"
	done
}

# maildir_has N DIR: are N messages in the maildir (for wait_until)?
maildir_has() {
	local found
	found=$(find "$2/new" -type f 2>/dev/null | wc -l)
	[ "$found" -ge "$1" ]
}
