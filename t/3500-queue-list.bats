# vmta-queue: list, count, show, why.

load helper/common
load helper/runq

setup() {
	make_prefix
	start_sink --reply 'rcpt:grey@* 451 4.7.1 Later, "please"' \
		--reply 'greeting from=127.0.0.2 421 4.3.2 Busy'
	rconf 'retry-after = 5h' <<-'END'
		virtual-mta v1 { smtp-source-host = '127.0.0.1 v1.example' }
		virtual-mta v2 { smtp-source-host = '127.0.0.2 v2.example' }
	END
}

teardown() {
	end_test
}

# One deferred, one whose queue failed, one new, one held.
four() {
	send --job j1 --envid 'e,1' grey@one.example
	message | inject -f other@sender.example --vmta v2 \
		--priority 70 fail@two.example
	deliver
	message | inject -f '' new@three.example
	send held@four.example
	vqueue hold --rcpt held@four.example >/dev/null
}

@test "list: columns, states and reasons; text, csv and json agree" {
	four
	vqueue list --format csv >"$P/csv"
	equal "id,rcptIndex,queue,orig,rcpt,jobId,envId,state,attempts,queued,nextTry,priority,bytes,lastStatus,lastDiag,reason" \
		"$(head -n 1 "$P/csv" | tr -d '\r')"
	equal "$(printf '%s\t' fail@two.example two.example/v2 \
		other@sender.example new 0 70 4.3.2 retry)" \
		"$(csv rcpt queue orig state attempts priority lastStatus reason \
			rcpt=fail@two.example <"$P/csv")	"
	equal "grey@one.example	j1	e,1	deferred	1	50" \
		"$(csv rcpt jobId envId state attempts priority \
			jobId=j1 <"$P/csv")"
	equal "new	0" "$(csv state attempts rcpt=new@three.example <"$P/csv")"
	equal "held	held" "$(csv state reason rcpt=held@four.example <"$P/csv")"
	[[ $(csv lastDiag rcpt=fail@two.example <"$P/csv") == *"421 4.3.2 Busy"* ]]
	equal "$(csv rcpt state reason <"$P/csv" | sort)" \
		"$(vqueue list --format json |
			json '"\t".join(x.get(k, "")
				for k in ("rcpt", "state", "reason"))' |
			sort)"
	vqueue list >"$P/text"
	for word in grey@one.example one.example/v1 deferred held j1; do
		grep -q "$word" "$P/text" || fail "no $word"
	done
	equal 4 "$(vqueue count)"
	equal 4 "$(vqueue list --all --format json | wc -l)"
}

@test "selections: AND between options, OR in one, wildcards, any case" {
	four
	list() {
		vqueue list --format csv "$@" | csv rcpt | sed 's/@.*//' | sort |
			xargs
	}
	equal "grey" "$(list --queue one.example/v1)"
	equal "fail grey" "$(list --queue one.example/v1 \
		--queue two.example/v2)"
	equal "fail" "$(list --vmta v2)"
	equal "grey held new" "$(list --vmta V1)"
	equal "held new" "$(list --domain 't*ee.example' --domain FOUR.example)"
	equal "fail" "$(list --from 'other@*')"
	equal "grey held" "$(list --from s@sender.example)"
	equal "grey" "$(list --rcpt '*@one.*')"
	equal "grey" "$(list --job j1)"
	equal "grey" "$(list --envid 'e*')"
	equal "grey" "$(list --state deferred)"
	equal "held" "$(list --state held)"
	equal "fail new" "$(list --state new)"
	equal "fail" "$(list --state new --vmta v2)"
	equal "" "$(list --state held --vmta v2)"
	id=$(vqueue list --rcpt 'new@*' --format csv | csv id)
	equal "new" "$(list --id "$id")"
	equal "" "$(list --older-than 1h)"
	equal "fail grey held new" "$(list --all)"
}

@test "the id that vmta-inject -v prints is the one of list and of the journal" {
	id=$(send -v grey@one.example | cut -d ' ' -f 1)
	equal "$id" "$(vqueue list --format csv | csv id)"
	deliver
	equal "$id" "$(journal msgId type=t)"
}

@test "nothing found: exit 1; an empty spool: 1, count says 0" {
	run vqueue list
	equal 1 "$status"
	run vqueue count
	equal "0" "$output"
	send a@one.example
	for format in text csv json; do
		run vqueue list --domain two.example --format $format
		equal 1 "$status"
		[ "${#lines[@]}" -le 1 ] # a header at most
	done
	run vqueue show --id nothing
	equal 1 "$status"
	run vqueue why --vmta v2
	equal 1 "$status"
	for c in delete hold release retry-now; do
		run vqueue $c --domain two.example
		equal 1 "$status" $c
		equal "0 of 0 recipients" "$output"
	done
}

@test "show: everything about a message, its header, its attempts" {
	four
	vqueue show --rcpt grey@one.example >"$P/out"
	for word in one.example/v1 s@sender.example grey@one.example j1 \
		'Subject: test' '451 4.7.1' 127.0.0.1 deferred; do
		grep -qF "$word" "$P/out" || fail "no $word in $(cat "$P/out")"
	done
	refute grep -q '^ *hello' "$P/out"
	refute grep -q other@sender "$P/out"
}

@test "show: control bytes of a header are shown, not sent" {
	printf 'From: <a@sender.example>\nSubject: \033[2J\007boo\n\nx\n' |
		inject -f s@sender.example a@one.example
	vqueue show --all >"$P/out"
	refute grep -q "$(printf '[\033\007]')" "$P/out"
	grep -q boo "$P/out"
}

@test "why: a line a queue, and what holds it back" {
	four
	vqueue pause --domain three.example
	vqueue why --format csv >"$P/csv"
	equal retry "$(csv state queue=two.example/v2 <"$P/csv")"
	equal paused "$(csv state queue=three.example/v1 <"$P/csv")"
	[[ $(csv lastError queue=two.example/v2 <"$P/csv") == *421* ]]
	equal two.example/v2 "$(vqueue why --vmta v2 --format csv | csv queue)"
	equal three.example/v1 "$(vqueue why --queue three.example/v1 \
		--format json | json 'x["queue"]')"
}

@test "wrong usage: 64, and nothing is changed" {
	send a@one.example
	for args in '' bogus 'list extra' 'list --bogus' 'list --format xml' \
		'list --state odd' 'list --older-than soon' show delete hold \
		release retry-now pause resume 'pause --rcpt a@b.example' \
		'delete --dry-run' 'resume --state held'; do
		# shellcheck disable=SC2086
		run vqueue $args
		equal 64 "$status" "vmta-queue $args"
	done
	equal 1 "$(vqueue count)"
	run vqueue list -C "$P/none"
	equal 78 "$status"
}

@test "a large queue is listed once each, and counted" {
	send_many 1 3000 one.example two.example three.example
	equal 3000 "$(vqueue count)"
	equal 1000 "$(vqueue count --domain two.example)"
	equal 3000 "$(vqueue list --format csv | csv rcpt | sort -u | wc -l)"
}

@test "other users' files in the spool are no mail" {
	send a@one.example
	: >"$P/spool/queue/v1/new/one.example/README"
	mkdir "$P/spool/queue/v1/new/Not A Domain"
	equal 1 "$(vqueue count)"
	deliver
	rm "$P/spool/queue/v1/new/one.example/README"
	all_final 1
}
