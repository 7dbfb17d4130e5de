# The journal and what is exported of it: acct-file.

load helper/common
load helper/runq

setup() {
	make_prefix
}

teardown() {
	end_test
}

@test "every field as accounting says, d and b and t" {
	start_sink --reply 'rcpt:no@* 550 5.1.1 No "such", user' \
		--reply 'rcpt:grey@* 451 4.7.1 Later'
	rconf1
	send --job 'j,1' --envid 'e"1' ok@one.example no@one.example \
		grey@one.example
	deliver
	python3 - "$P"/log/acct*.csv <<-'END'
		import csv, re, sys
		rows = {}
		for name in sys.argv[1:]:
		    raw = open(name, "rb").read()
		    assert raw.endswith(b"\r\n")
		    assert raw.count(b"\n") == raw.count(b"\r\n") == 7
		    for r in csv.DictReader(open(name, newline=""), strict=True):
		        assert None not in r and None not in r.values(), r
		        rows[r["type"], r["rcpt"]] = r
		stamp = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+0000$")
		d = rows["d", "ok@one.example"]
		b = rows["b", "no@one.example"]
		t = rows["t", "grey@one.example"]
		for r in d, b, t:
		    assert stamp.match(r["timeLogged"]), r
		    assert stamp.match(r["timeQueued"]), r
		    assert r["orig"] == "s@sender.example"
		    assert r["dsnMta"] == "[127.0.0.1] (127.0.0.1)", r
		    assert r["srcType"] == "api" and r["dlvType"] == "smtp", r
		    assert r["dlvSourceIp"] == r["dlvDestinationIp"] == "127.0.0.1"
		    assert r["vmta"] == "v1" and r["queue"] == "one.example/v1"
		    assert r["jobId"] == "j,1" and r["envId"] == 'e"1', r
		    assert "PIPELINING" in r["dlvEsmtpAvailable"], r
		    assert int(r["dlvSize"]) > 100 or r is not d
		assert len({r["msgId"] for r in (d, b, t)}) == 1
		assert [r["rcptIndex"] for r in (d, b, t)] == ["0", "1", "2"]
		assert d["dsnStatus"] == "2.0.0 (success)" and d["dsnAction"] == "relayed"
		assert b["dsnAction"] == "failed" and t["dsnAction"] == "delayed"
		assert b["dsnDiag"] == 'smtp;550 5.1.1 No "such", user', b
		assert b["bounceCat"] == "bad-mailbox", b
		assert t["dsnStatus"].startswith("4.7.1"), t
	END
}

@test "control bytes and commas in replies stay in one record" {
	start_sink --reply 'rcpt raw 550 5.1.1 a\x01b,"c"\t\r\n'
	rconf1
	send_many 1 3 one.example
	deliver
	equal 3 "$(journal rcpt type=b | wc -l)"
	all_final 3
}

@test "segments are retired after a run; each has one header row" {
	start_sink
	rconf1
	for i in 1 2 3; do
		send "r$i@one.example"
		deliver
	done
	[ -z "$(find "$P/spool/acct" -name '*.live')" ]
	for f in "$P"/spool/acct/*.csv; do
		equal 1 "$(grep -c '^type,' "$f")"
	done
	all_final 3
}

@test "records: only the types that the file wants" {
	start_sink --reply 'rcpt:no@* 550 5.1.1 No' \
		--reply 'rcpt:grey@* 451 4.7.1 Later'
	rconf1
	cat >>"$P/etc/vmta.conf" <<-END
		acct-file '$P/log/only-b.csv' { records = {b} }
		acct-file '$P/log/default.csv' { world-readable = yes }
	END
	send ok@one.example no@one.example grey@one.example
	deliver
	equal b "$(python3 "$HELPER/acct.py" rows type -- "$P"/log/only-b*.csv)"
	equal "b d" "$(python3 "$HELPER/acct.py" rows type -- \
		"$P"/log/default*.csv | sort | xargs)"
	equal 644 "$(stat -c %a "$P"/log/default*.csv)"
	[[ $(stat -c %a "$P"/log/only-b*.csv) != *4 ]]
}

@test "a file that is configured later has all that the journal has, once" {
	start_sink
	rconf1
	send_many 1 50 one.example
	deliver
	echo "acct-file '$P/log/late.csv' { records = {d} }" >>"$P/etc/vmta.conf"
	send_many 51 60 one.example
	deliver
	deliver
	equal 60 "$(python3 "$HELPER/acct.py" rows rcpt -- "$P"/log/late*.csv |
		sort -u | wc -l)"
	equal 60 "$(python3 "$HELPER/acct.py" rows rcpt -- "$P"/log/late*.csv |
		wc -l)"
	all_final 60
}

@test "max-size and move-to: files are finished and moved, nothing is twice" {
	start_sink
	rconf1
	mkdir "$P/log/done"
	cat >>"$P/etc/vmta.conf" <<-END
		acct-file '$P/log/big.csv' {
			records = {d} max-size = 1M move-to = '$P/log/done' }
	END
	send_many 1 6000 one.example
	deliver
	deliver
	[ "$(find "$P/log/done" -type f | wc -l)" -ge 1 ]
	for f in "$P"/log/done/*; do
		# Cut at the first look after that.
		[ "$(stat -c %s "$f")" -ge 1048576 ]
	done
	equal 6000 "$(python3 "$HELPER/acct.py" rows rcpt -- "$P"/log/big*.csv \
		"$P"/log/done/*.csv | sort -u | wc -l)"
	equal 6000 "$(python3 "$HELPER/acct.py" rows rcpt -- "$P"/log/big*.csv \
		"$P"/log/done/*.csv | wc -l)"
}

@test "a file that cannot be written delays itself only" {
	start_sink
	rconf1
	echo "acct-file '$P/log/no/stuck.csv' { records = {d} }" \
		>>"$P/etc/vmta.conf"
	: >"$P/log/no"
	send_many 1 5 one.example
	deliver
	all_final 5
	logged acct-file log/no
	rm "$P/log/no"
	deliver
	send a@two.example
	deliver
	equal 6 "$(python3 "$HELPER/acct.py" rows rcpt -- "$P"/log/no/stuck*.csv |
		sort -u | wc -l)"
}

@test "vmta-report tells the same as the sink" {
	start_sink --reply 'rcpt:*7@* 550 5.1.1 No'
	rconf1
	send_many 1 100 one.example two.example
	deliver
	report --format csv summary >"$P/out"
	equal "90	10" "$(csv delivered bounced by=total <"$P/out")"
	equal 90 "$(sink_count messages)"
}
