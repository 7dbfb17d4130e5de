# Debian's postgrey behind a whole Postfix, and a VirtualMTA with four
# addresses: each recipient is deferred once and gets through on the second
# attempt, for it comes from the same address.
# bats file_tags=slow

load helper/common
load helper/postfix
load helper/postgrey
load helper/runq

setup() {
	need_postgrey
	make_prefix
}

teardown() {
	end_test
}

# four [SETTING...]: four addresses, each with a name of its own.
four() {
	HOSTS="'[${POSTFIX_ADDR%:*}]:${POSTFIX_ADDR##*:}'" rconf "$@" <<-'END'
		virtual-mta v1 {
			smtp-source-host = {'127.0.0.11 a.example',
			    '127.0.0.12 b.example', '127.0.0.13 c.example',
			    '127.0.0.14 d.example'}
		}
	END
}

# mail: 80 recipients: 40 messages in a stream to eight domains, and ten
# messages by themselves, for four recipients each, at two domains.
mail() {
	send_many 1 40 d{1..8}.example
	for i in {41..50}; do
		send "r$i-"{1,2}"@d1.example" "r$i-"{3,4}"@d2.example"
	done
	waiting 80
}

# passed NUMBER: the time has come that postgrey wants to pass, since the last
# of NUMBER deferrals.
passed() {
	local last
	equal "$1" "$(journal type type=t | wc -l)"
	last=$(journal timeLogged type=t | sort | tail -n 1)
	last=$(date -d "$last" +%s)
	wait_until later_than $((last + 2))
}

later_than() {
	[ "$(date +%s)" -gt "$1" ]
}

# second_attempt NUMBER: each of so many recipients was deferred once by
# postgrey and then delivered, both from the same of four addresses.
second_attempt() {
	equal "d=$1 r=$1 t=$1" "$(types)"
	equal "$1" "$(journal dsnDiag type=t |
		grep -c '^smtp;450 4\.2\.0 <r.*: Recipient .* Greylisted,')"
	journal rcpt dlvSourceIp type=t | sort >"$P/first"
	equal "$1" "$(cut -f 1 "$P/first" | sort -u | wc -l)"
	journal rcpt dlvSourceIp type=d | sort | diff "$P/first" -
	equal "127.0.0.11 127.0.0.12 127.0.0.13 127.0.0.14" \
		"$(cut -f 2 "$P/first" | sort -u | xargs)"
	equal 2 "$(journal attempts type=d | sort -u)"
	all_final "$1"
}

# each_name: Postfix saw each address with its own name, and no other.
each_name() {
	equal "127.0.0.11=a.example 127.0.0.12=b.example \
127.0.0.13=c.example 127.0.0.14=d.example" "$(grep -h '^Received: from' \
		-A 1 "$POSTFIX_DIR"/mail/maildir/new/* |
		sed -n 's/.*from \([a-d]\.example\).*\[\(.*\)\].*/\2=\1/p' |
		sort -u | xargs)"
}

@test "GREY: postgrey, two runs: all through on the second attempt" {
	start_postgrey 2
	four 'retry-after = 5h' 'max-rcpt-per-transaction = 3'
	mail
	deliver
	equal "r=80 t=80" "$(types)"
	passed 80
	deliver --now
	second_attempt 80
	wait_until postfix_has 80
	each_name
	equal 80 "$(grep -l '^X-Greylist: delayed' \
		"$POSTFIX_DIR"/mail/maildir/new/* | wc -l)"
}

@test "GREY: postgrey, a daemon with few connections, other mail goes on" {
	start_postgrey 1
	four 'retry-after = 5h' "retry-recipients-after = '3s,1h'" \
		'max-smtp-out = 3' 'connection-idle-timeout = 10m'
	mail
	start_daemon
	wait_until postfix_has 80
	end "$RUNQ_PID"
	second_attempt 80
	each_name
}

# The other way round, so that it is known what the tests above would see.
@test "GREY: postgrey takes another address for another sender" {
	start_postgrey 2
	four 'retry-after = 5h'
	send_many 1 4 one.example
	deliver
	HOSTS="'[${POSTFIX_ADDR%:*}]:${POSTFIX_ADDR##*:}'" \
		rconf 'retry-after = 5h' <<-'END'
			virtual-mta v1 {
				smtp-source-host = '127.0.0.15 e.example'
			}
		END
	passed 4
	deliver --now
	equal "r=4 t=8" "$(types)"
	waiting 4
}
