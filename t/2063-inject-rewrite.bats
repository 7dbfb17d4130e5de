# rewrite-list: domains of senders that are others at a VirtualMTA.

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

# wconf RULES [SETTING...]: v1 has these rules, v2 none; p is a pool of v1.
wconf() {
	DEFAULT_VMTA="v1  allow-mailmerge = yes  ${*:2}" rconf <<-END
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example'
			rewrite-list = {$1} }
		virtual-mta v2 { smtp-source-host = '127.0.0.1 v2.example' }
		virtual-mta-pool p { virtual-mta = {'v1'}
			rewrite-list = {'mail-from * pool.example'} }
	END
}

# mail FROM: a message with this From.
mail() {
	printf '%s\n' "From: $1" 'Subject: x@old.example' '' 'a@old.example'
}

# stored FIELD: of all contents that the sink has.
stored() {
	sink_flush
	cat "$SINK_DIR"/store/*.eml | tr -d '\r' | sed -z 's/\n[ \t]/ /g' |
		grep -i "^$1: " | cut -d' ' -f2-
}

# sender RCPT: of a delivered recipient.
sender() {
	journal orig "rcpt=$1" type=d
}

@test "HEADER: mail-from: the first rule that fits, by VirtualMTA and pool" {
	wconf "'mail-from old.example new.example', 'mail-from OLD.example no.example', 'mail-from bücher.example b.example'"
	mail s@old.example | inject -f S.x@Old.example a@one.example
	mail s@old.example | inject -f s@other.example b@one.example
	mail s@old.example | inject -f s@old.example --vmta v2 c@one.example
	mail s@old.example | inject -f s@old.example --vmta p d@one.example
	mail s@old.example | inject -f s@xn--bcher-kva.example e@one.example
	mail s@old.example | inject -f '<>' f@one.example
	mail s@old.example | inject -f n@old.example --verp g@one.example
	deliver
	equal S.x@new.example "$(sender a@one.example)"
	equal s@other.example "$(sender b@one.example)"
	equal s@old.example "$(sender c@one.example)"
	equal s@pool.example "$(sender d@one.example)"
	equal s@b.example "$(sender e@one.example)"
	equal '' "$(sender f@one.example)"
	equal n-g=one.example@new.example "$(sender g@one.example)"
	equal 's@old.example' "$(stored From | sort -u)"
	equal 'x@old.example' "$(stored Subject | sort -u)"
}

@test "HEADER: from: the field, outside of quotes and comments" {
	wconf "'from old.example new.example'"
	local from
	from='"x@old.example" <a@OLD.example> (b@old.example (c@old.example)), d@old.example.org, e@sub.old.example, f@old.example'
	mail "$from" | inject -f s@old.example a@one.example
	mail $'a@old.example,\n b@old.example' |
		inject -f s@old.example --vmta v2 b@one.example
	deliver
	equal '"x@old.example" <a@new.example> (b@old.example (c@old.example)), d@old.example.org, e@sub.old.example, f@new.example
a@old.example, b@old.example' "$(stored From | sort)"
	equal s@old.example "$(sender a@one.example)"
	all_final 2
}

@test "HEADER: a merge: its senders; what it cannot do is refused" {
	wconf "'mail-from old.example new.example'"
	printf '%s\n' 'email,*from' a@one.example, b@one.example,r@old.example \
		c@one.example,r@other.example >"$P/list.csv"
	mail s@old.example | inject -f s@old.example \
		--merge "$P/list.csv" >/dev/null
	deliver
	equal s@new.example "$(sender a@one.example)"
	equal r@new.example "$(sender b@one.example)"
	equal r@other.example "$(sender c@one.example)"
	wconf "'from old.example new.example'"
	run --separate-stderr -65 inject -f s@old.example \
		--merge "$P/list.csv" < <(mail s@old.example)
	[[ $stderr == *'rewrite-list of v1 changes From'* ]]
}

@test "HEADER: a sender that gets too long is refused; a bad rule is told" {
	local long bad
	long=$(printf 'l%.0s' {1..60}).$(printf 'm%.0s' {1..60}).$(printf \
		'n%.0s' {1..60}).$(printf 'o%.0s' {1..50}).example
	wconf "'mail-from * $long'"
	run --separate-stderr -65 inject \
		-f "$(printf 'x%.0s' {1..60})@old.example" a@one.example \
		< <(mail s@old.example)
	[[ $stderr == *'over 254 octets'* ]]
	nothing_waits
	for bad in 'mail-from a.example' 'sender a.example b.example' \
		'from a.example *' 'from a.example b.example c.example' \
		'from a..example b.example' 'from a.example [127.0.0.1]'; do
		wconf "'$bad'"
		run --separate-stderr -78 "$P/bin/vmta-check" config
		[[ $stderr$output == *rewrite-list* ]] || fail "$bad"
	done
}
