# vmta-report: sums, records and queues, as text, CSV and JSON, from files of
# vmta and of PowerMTA, and from the journal.

load helper/common

setup() {
	make_prefix
	conf <<-'END'
		virtual-mta news {
			smtp-source-host = {'127.0.0.2 news.example'}
		}
	END
}

teardown() {
	end_test
}

# A file as PowerMTA writes it: other columns, another order.
powermta_file() {
	cat >"$P/pmta.csv" <<-'END'
		type,timeLogged,timeQueued,orig,rcpt,dsnDiag,vmta,jobId,dlvSourceIp,dlvSize,header_Subject
		d,2026-11-23 10:00:00+0000,2026-11-23 09:59:00+0000,s@y.example,a@x.example,smtp;250 ok,v1,j1,127.0.0.2,1000,"one, two"
		d,2026-11-23 10:00:30+0000,2026-11-23 09:59:00+0000,s@y.example,b@X.example,smtp;250 ok,v1,j1,127.0.0.3,500,
		b,2026-11-23 10:10:00+0000,2026-11-23 09:59:00+0000,s@y.example,c@z.example,"smtp;550 ""no""",v2,j2,127.0.0.2,,
		t,2026-11-23 11:00:00+0000,2026-11-23 09:59:00+0000,s@y.example,d@z.example,smtp;450 later,v2,j2,127.0.0.2,,
	END
	sed -i 's/$/\r/' "$P/pmta.csv"
}

# Hostile texts as another program may have left them.
hostile_file() {
	printf 'type,timeLogged,rcpt,dsnDiag,envId\r\n' >"$P/hostile.csv"
	printf 'd,2026-11-23 10:00:00+0000,=cmd|x!A0,smtp;\033[2J,<script>\r\n' \
		>>"$P/hostile.csv"
	printf 'd,2026-11-23 10:00:01+0000,"a""b,c",\\x0d %%n,\377\r\n' \
		>>"$P/hostile.csv"
}

@test "summary: an independent count gives the same" {
	powermta_file
	report --format csv summary "$P/pmta.csv" >"$P/out"
	python3 - "$P/pmta.csv" "$P/out" <<-'END'
		import collections, csv, sys
		want = collections.Counter()
		for r in csv.DictReader(open(sys.argv[1], newline="")):
		    keys = [("total", "all"), ("vmta", r["vmta"]),
		        ("domain", r["rcpt"].split("@")[1].lower()),
		        ("source", r["dlvSourceIp"])]
		    for k in keys:
		        want[k + (r["type"],)] += 1
		        if r["type"] == "d":
		            want[k + ("bytes",)] += int(r["dlvSize"])
		rows = list(csv.DictReader(open(sys.argv[2], newline="")))
		assert len(rows) == 7, rows
		for r in rows:
		    k = (r["by"], r["key"])
		    for name, t in (("delivered", "d"), ("bounced", "b"),
		        ("deferred", "t"), ("bytes", "bytes")):
		        assert int(r[name]) == want[k + (t,)], (r, name)
		total = rows[0]
		assert total["first"] == "2026-11-23 10:00:00+0000", total
		assert total["last"] == "2026-11-23 11:00:00+0000", total
		assert 60 <= int(total["p50"]) <= 63 and 90 <= int(total["p99"]) <= 95
	END
}

@test "summary: text has a section each, json an object a line" {
	powermta_file
	report summary "$P/pmta.csv" >"$P/out"
	for word in VirtualMTA domain 'source IP' 'per hour' p90 v1 z.example \
		127.0.0.3; do
		grep -q "$word" "$P/out" || fail "no $word"
	done
	equal 4 "$(report --by domain --by hour --format json summary \
		"$P/pmta.csv" | json 'x["by"]' | grep -c 'domain\|hour')"
	equal 'j1' "$(report --by job --format json summary "$P/pmta.csv" |
		json 'x["key"] if x["delivered"] == 2 else None')"
}

@test "filters and times choose records; nothing found is 1" {
	powermta_file
	equal 2 "$(report --format json --vmta 'V1' find "$P/pmta.csv" | wc -l)"
	equal 1 "$(report --format json --domain z.example --type b find \
		"$P/pmta.csv" | wc -l)"
	equal 3 "$(report --format json --since '2026-11-23 10:00:30' find \
		"$P/pmta.csv" | wc -l)"
	equal 1 "$(report --format json --until '2026-11-23 10:00:30' find \
		"$P/pmta.csv" | wc -l)"
	run report --from nobody find "$P/pmta.csv"
	equal 1 "$status"
	run report --last 1m summary "$P/pmta.csv"
	equal 1 "$status"
	equal '' "$output"
}

@test "find: csv read again is what was in the file" {
	powermta_file
	report --format csv find "$P/pmta.csv" >"$P/out"
	python3 - "$P/pmta.csv" "$P/out" <<-'END'
		import csv, sys
		a, b = (list(csv.DictReader(open(f, newline="")))
		    for f in sys.argv[1:])
		assert len(a) == len(b) == 4
		for x, y in zip(a, b):
		    for k in x:
		        if k in y:
		            assert x[k] == y[k], (k, x[k], y[k])
		assert b[2]["dsnDiag"] == 'smtp;550 "no"'
	END
	# And what is written is read as an accounting file again.
	cp "$P/out" "$P/again"
	report --format csv find "$P/again" | cmp - "$P/out"
	report --format csv find - <"$P/again" | cmp - "$P/out"
	report --format csv find - < <(cat "$P/again") | cmp - "$P/out"
}

@test "V10: what strangers wrote is shown, not obeyed" {
	hostile_file
	for format in text csv json; do
		report --format "$format" find "$P/hostile.csv" >"$P/out"
		LC_ALL=C refute grep -q $'[\x01-\x09\x0b\x0c\x0e-\x1f\x7f]' \
			"$P/out"
		iconv -f UTF-8 -t UTF-8 "$P/out" >/dev/null
	done
	report --format csv find "$P/hostile.csv" |
		csv rcpt dsnDiag envId >"$P/out"
	diff - "$P/out" <<-'END'
		=cmd|x!A0	smtp;\x1b[2J	<script>
		a"b,c	\x0d %n	\xff
	END
	report --by domain summary "$P/hostile.csv" >/dev/null
}

@test "lines that are no records are named and left out" {
	powermta_file
	printf 'rubbish\r\nd,"open\r\n' >>"$P/pmta.csv"
	report --format csv --by day summary "$P/pmta.csv" >"$P/out" 2>"$P/err"
	equal "2026-11-23	2" "$(csv key delivered <"$P/out")"
	grep -q "2 lines are no records.*pmta.csv:6" "$P/err"
}

@test "the journal is read, and what is being written too" {
	mkdir "$P/spool/acct"
	powermta_file
	head -n 3 "$P/pmta.csv" >"$P/spool/acct/1lp6jv7m0d3k8q2r5t1ua.csv"
	{
		head -n 1 "$P/pmta.csv"
		tail -n 2 "$P/pmta.csv"
		printf 'd,2026-11-23 11:00:00+0000,half'
	} >"$P/spool/acct/1lp6jv7m0d3k8q2r5t1ub.live"
	echo other >"$P/spool/acct/README"
	chmod 700 "$P/spool" "$P/spool/acct"
	report --format csv summary >"$P/out" 2>"$P/err" ||
		fail "$(cat "$P/err")"
	equal "2	1	1" "$(csv delivered bounced deferred by=total <"$P/out")"
	equal '' "$(cat "$P/err")"
	report status >"$P/out"
	grep -q '^journalSegments  *2$' "$P/out"
	run report queues
	equal 1 "$status"
}

@test "wrong use is told: 64, 65; a file that is missing: 74" {
	powermta_file
	run report
	equal 64 "$status"
	run report nonsense
	equal 64 "$status"
	run report --format yaml summary "$P/pmta.csv"
	equal 64 "$status"
	run report --since yesterweek summary "$P/pmta.csv"
	equal 64 "$status"
	run report --by colour summary "$P/pmta.csv"
	equal 64 "$status"
	run report queues "$P/pmta.csv"
	equal 64 "$status"
	echo 'no header' >"$P/none"
	run report summary "$P/none"
	equal 65 "$status"
	run report summary "$P/missing"
	equal 74 "$status"
	report --help | grep -q -- --last
}

@test "a full disk for the output is an error" {
	powermta_file
	[ -w /dev/full ] || skip "needs /dev/full"
	status=0
	report --format csv find "$P/pmta.csv" >/dev/full || status=$?
	equal 75 "$status"
}
