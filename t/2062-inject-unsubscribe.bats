# add-list-unsubscribe: List-Unsubscribe and List-Unsubscribe-Post.

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

# uconf SETTING...: the configuration, with these for local mail.
uconf() {
	DEFAULT_VMTA="v1 $*  allow-mailmerge = yes" rconf1
}

header() {
	printf '%s\n' "$@" 'Subject: x' '' body
}

# stored [FIELD]: all contents that the sink has, unfolded, or one field.
stored() {
	sink_flush
	cat "$SINK_DIR"/store/*.eml | tr -d '\r' | sed -z 's/\n[ \t]/ /g' |
		if [ $# = 0 ]; then cat; else grep -i "^$1: "; fi
}

@test "HEADER: each recipient has his own, percent-encoded; both fields" {
	uconf "add-list-unsubscribe = {'https://u.example/?r=[*to]&m=[*msgid]&j=[*jobid]&v=[*vmta]', 'mailto:off+[*msgid]@u.example'}"
	header | inject -v -f s@s.example --job 'week 4&7' a+b@one.example \
		'"x y"@two.example' >"$P/out"
	local id
	id=$(cut -d' ' -f1 "$P/out" | head -n 1)
	deliver
	equal "List-Unsubscribe: <https://u.example/?r=%22x%20y%22%40two.example&m=$id.1&j=week%204%267&v=v1>, <mailto:off+$id.1@u.example>
List-Unsubscribe: <https://u.example/?r=a%2Bb%40one.example&m=$id.0&j=week%204%267&v=v1>, <mailto:off+$id.0@u.example>" \
		"$(stored List-Unsubscribe | sort)"
	equal 2 "$(stored | grep -c \
		'^List-Unsubscribe-Post: List-Unsubscribe=One-Click$')"
	all_final 2
}

@test "HEADER: without https no Post; without a recipient in it one content" {
	uconf "add-list-unsubscribe = {'mailto:off@u.example?subject=[*jobid]'}"
	header | inject -f s@s.example --job j1 a@one.example b@one.example
	equal 1 "$(find "$P/spool/queue" -type f | wc -l)"
	equal 1 "$(grep -arh '^Subject' "$P/spool/queue" | wc -l)"
	deliver
	equal 'List-Unsubscribe: <mailto:off@u.example?subject=j1>' \
		"$(stored List-Unsubscribe | sort -u)"
	equal 0 "$(stored | grep -c '^List-Unsubscribe-Post')"
}

@test "HEADER: what a message has itself is left alone" {
	uconf "add-list-unsubscribe = {'https://u.example/[*to]'}"
	header 'list-UNSUBSCRIBE: <mailto:mine@s.example>' |
		inject -f s@s.example a@one.example b@one.example
	deliver
	equal 'list-UNSUBSCRIBE: <mailto:mine@s.example>' \
		"$(stored List-Unsubscribe | sort -u)"
	equal 0 "$(stored | grep -c 'u.example')"
}

@test "HEADER: a merge has it in its template" {
	uconf "add-list-unsubscribe = {'https://u.example/?r=[*to]&m=[*msgid]&j=[*jobid]'}"
	printf '%s\n' 'email,*jobid,name' a+b@one.example,j/1,A \
		c@two.example,,C >"$P/list.csv"
	header 'X-Name: [name]' | inject -v -f s@s.example --job main \
		--merge "$P/list.csv" >"$P/out"
	local id
	id=$(cut -d' ' -f1 "$P/out" | head -n 1)
	deliver
	equal "List-Unsubscribe: <https://u.example/?r=a%2Bb%40one.example&m=$id.0&j=j%2F1>
List-Unsubscribe: <https://u.example/?r=c%40two.example&m=$id.1&j=main>" \
		"$(stored List-Unsubscribe | sort)"
	equal 2 "$(stored | grep -c '^List-Unsubscribe-Post: ')"
	equal 'X-Name: A X-Name: C' "$(stored X-Name | sort | xargs)"
	rm "$SINK_DIR"/store/*
	header 'List-Unsubscribe: <https://own.example/[*to_url]/[name]>' |
		inject -f s@s.example --merge "$P/list.csv" >/dev/null
	deliver
	equal 'List-Unsubscribe: <https://own.example/a%2Bb%40one.example/A>
List-Unsubscribe: <https://own.example/c%40two.example/C>' \
		"$(stored List-Unsubscribe | sort)"
}

@test "HEADER: no column is named like an encoded name" {
	uconf
	printf '%s\n' 'email,*to_url' a@one.example,x >"$P/list.csv"
	run --separate-stderr -65 inject -f s@s.example --merge "$P/list.csv" \
		< <(header)
	[[ $stderr == *'*to_url'* ]]
}

@test "HEADER: too many copies of a large message are refused" {
	uconf "add-list-unsubscribe = {'https://u.example/[*to]'}"
	{
		header
		head -c 3000000 /dev/zero | tr '\0' x | fold -w 70
	} >"$P/m"
	run --separate-stderr -65 inject -f s@s.example r{1..40}@one.example \
		<"$P/m"
	[[ $stderr == *'use a mail merge'* ]]
	inject -f s@s.example r{1..5}@one.example <"$P/m"
	waiting 5
}

@test "HEADER: a URI that cannot be is a configuration error" {
	local bad
	for bad in 'http://u.example' 'u.example' 'https://u.example/a b' \
		'https://u.example/<x>' 'https://u.example/[*from]' \
		'https://u.example/[x]' 'https://u.example/]' \
		"https://u.example/$(printf 'x\303\244')"; do
		uconf "add-list-unsubscribe = {'$bad'}"
		run --separate-stderr -78 "$P/bin/vmta-check" config
		[[ $stderr$output == *add-list-unsubscribe* ]] || fail "$bad"
	done
}

@test "HEADER: what a message has itself, to several VirtualMTAs" {
	DEFAULT_VMTA="p add-list-unsubscribe = {'https://u.example/?r=[*to]'}" \
		rconf <<-'END'
			virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
			virtual-mta v2 { smtp-source-host = '127.0.0.2 v2.example' }
			virtual-mta-pool p { virtual-mta = {v1, v2} }
			pattern-list split { match = 'rcpt-to /two/ virtual-mta=v2' }
		END
	sed -i "s/default-virtual-mta = p/& pattern-list = split/" \
		"$P/etc/vmta.conf"
	header 'List-Unsubscribe: <mailto:own@s.example>' |
		inject -f s@s.example a@one.example b@two.example
	deliver
	equal 'List-Unsubscribe: <mailto:own@s.example>
List-Unsubscribe: <mailto:own@s.example>' "$(stored List-Unsubscribe)"
	equal 2 "$(sink_sources | wc -l)"
	all_final 2
}
