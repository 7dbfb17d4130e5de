# vmta-check config: numbers of every parameter at and beyond the ends of what
# integers hold.

load helper/common

setup() {
	make_prefix
}

teardown() {
	end_test
}

# bats test_tags=slow
@test "V17: no number of any parameter wraps around" {
	python3 - "$P" <<-'END'
		import os, re, subprocess, sys
		prefix = sys.argv[1]
		tool = prefix + "/bin/vmta-check"
		conf = prefix + "/etc/vmta.conf"
		head = "smtp-source-host = '192.0.2.1 a.example'\n"
		text = subprocess.run([tool, "config", "--print-defaults"],
		    check=True, capture_output=True, text=True).stdout
		# (section, parameter), those with a number, size, time or rate
		params, section = [], None
		for line in text.split("\n"):
		    m = re.match(r"#?\s*([a-z-]+) '([^']+)' \{", line)
		    if m:
		        section = m.groups()
		    elif re.match(r"#?\}", line):
		        section = None
		    m = re.match(r"#?\s*([a-z0-9-]+) = (\S+)   #", line)
		    # that one is a text that nobody looks at yet
		    if m and m.group(1) != "max-cold-virtual-mta-msg" and \
		        re.match(r"'?[0-9]|unlimited", m.group(2)):
		        params.append((section, m.group(1)))
		assert len(params) > 30, params
		big = ["2147483648", "4294967296", "9223372036854775807",
		    "9223372036854775808", "18446744073709551616", "-1",
		    "9223372036854775807w", "9223372036854775807T",
		    "8589934592G", "17179869185G", "9223372036854775807/s",
		    "9223372036854775807/9223372036854775807d", "1/0s"]
		def wrap(section, setting):
		    if section is None:
		        return head + setting
		    kind, name = section
		    name = {"virtual-mta": "v", "virtual-mta-pool": "p",
		        "source": "local", "domain": "example.com",
		        "acct-file": "x.csv"}.get(kind, "n")
		    more = "virtual-mta = {'v'}\n" if kind.endswith("pool") \
		        else ""
		    if kind != "virtual-mta":
		        more_head = head + "virtual-mta v { }\n"
		    else:
		        more_head = head
		    return "%s%s '%s' {\n%s%s}\n" % (more_head, kind, name, more,
		        setting)
		accepted = 0
		for section, param in params:
		    for value in big:
		        with open(conf, "w") as f:
		            f.write(wrap(section, "%s = '%s'\n" % (param, value)))
		        r = subprocess.run([tool, "config", "-C", conf],
		            capture_output=True, text=True)
		        assert r.returncode in (0, 78), (param, value, r)
		        if r.returncode == 0:
		            accepted += 1
		            assert value in ("2147483648", "4294967296",
		                "9223372036854775807/s"), (param, value, r)
		        else:
		            assert re.search(r"vmta\.conf:\d+: ", r.stderr), r
		            assert r.stderr.count("\n") == 1, r
		assert accepted > 0
		print(len(params), "parameters,", accepted, "values accepted")
	END
}
