# What Debian's programs make of our sendmail: the source they get, their
# recipients, and what they say when the mail is refused or the disk is full.

# shellcheck disable=SC2154 # run sets stderr
bats_require_minimum_version 1.5.0
load helper/common
load helper/programs

setup() {
	need_plain 'set-uid programs'
	programs_prefix
}

teardown() {
	programs_end
}

@test "MUA: php mail(): true, and false when refused or the disk is full" {
	need_command php
	need_user www-data
	cat >"$P/home/mail.php" <<-'END'
		<?php var_dump(mail($argv[1], 'Grüße', "one\n.\ntwo\n",
		    "From: shop@s.example\r\nCc: c@y.example"));
	END
	run -0 as www-data php "$P/home/mail.php" b@x.example
	equal 'bool(true)' "$output"
	equal "b@x.example user:www-data
c@y.example user:www-data" "$(queued)"
	# a dot in the body ends nothing: PHP gives -i
	grep -rq two "$P/spool/queue"
	forget
	run --separate-stderr -0 as www-data php "$P/home/mail.php" 'b@x..example'
	[[ $output == *'bool(false)' ]]
	disk_full
	run --separate-stderr -0 as www-data php "$P/home/mail.php" b@x.example
	[[ $output == *'bool(false)' ]]
	equal '' "$(queued)"
	disk_free
	run -0 as www-data php "$P/home/mail.php" b@x.example
	equal 'bool(true)' "$output"
}

@test "MUA: PHPMailer, as sendmail and as mail()" {
	need_command php
	need_user www-data
	[ -f /usr/share/php/libphp-phpmailer/src/PHPMailer.php ] ||
		skip 'needs libphp-phpmailer'
	cat >"$P/home/m.php" <<-'END'
		<?php
		foreach (['Exception', 'PHPMailer', 'SMTP'] as $f)
			require "/usr/share/php/libphp-phpmailer/src/$f.php";
		$m = new PHPMailer\PHPMailer\PHPMailer(true);
		if ($argv[1] == 'mail') $m->isMail(); else $m->isSendmail();
		$m->setFrom('shop@s.example', 'Shop');
		$m->addAddress('b@x.example');
		$m->addBCC('c@y.example');
		$m->Subject = 'Grüße';
		$m->Body = "one\n.\ntwo\n";
		try { $m->send(); echo "sent\n"; }
		catch (Exception $e) { echo $e->getMessage(), "\n"; exit(1); }
	END
	for how in mail sendmail; do
		run -0 as www-data php "$P/home/m.php" $how
		equal sent "$output"
		equal "b@x.example user:www-data
c@y.example user:www-data" "$(queued)"
		grep -rq ' shop@s.example$' "$P/spool/queue"
		refute grep -rqi '^bcc:' "$P/spool/queue"
		forget
		disk_full
		run --separate-stderr as www-data php "$P/home/m.php" $how
		equal 1 "$status" "$how"
		equal '' "$(queued)"
		disk_free
	done
}

@test "MUA: git send-email" {
	[ -x /usr/lib/git-core/git-send-email ] || skip 'needs git-email'
	perl -MMail::Address -e 1 2>/dev/null || skip 'needs Mail::Address'
	cat >"$P/home/0001-x.patch" <<-'END'
		From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
		From: Dev <dev@s.example>
		Date: Mon, 1 Jan 2024 00:00:00 +0000
		Subject: [PATCH] one thing

		Text.
	END
	send=(git send-email --quiet --confirm=never --from=dev@s.example
		--to=b@x.example --cc=c@y.example --suppress-cc=all
		--envelope-sender=dev@s.example "$P/home/0001-x.patch")
	as nobody git config --global user.name x
	as nobody git config --global user.email dev@s.example
	run -0 as nobody "${send[@]}"
	[[ $(queued) == *'b@x.example user:nobody'* ]]
	grep -rq ' dev@s.example$' "$P/spool/queue"
	forget
	disk_full
	run as nobody "${send[@]}"
	[ "$status" != 0 ]
	equal '' "$(queued)"
}

@test "MUA: s-nail: the mail is kept when it could not be sent" {
	need_command s-nail
	send=(s-nail -:/ -S sendwait -s Subject -r a@s.example -b c@y.example)
	run -0 as nobody "${send[@]}" b@x.example root <<<$'one\n.\ntwo'
	equal "b@x.example user:nobody
c@y.example user:nobody
root@mta.example user:nobody" "$(queued)"
	grep -rq two "$P/spool/queue"
	forget
	disk_full
	run as nobody "${send[@]}" b@x.example <<<kept
	[ "$status" != 0 ]
	equal '' "$(queued)"
	grep -q kept "$P/home/dead.letter"
}

@test "MUA: mutt" {
	need_command mutt
	send=(mutt -F /dev/null -e 'set from=a@s.example use_envelope_from copy=no'
		-s Subject -c c@y.example -- b@x.example)
	run -0 as nobody "${send[@]}" <<<$'one\n.\ntwo'
	equal "b@x.example user:nobody
c@y.example user:nobody" "$(queued)"
	grep -rq ' a@s.example$' "$P/spool/queue"
	grep -rq two "$P/spool/queue"
	forget
	disk_full
	run as nobody "${send[@]}" <<<kept
	equal 1 "$status"
	[[ $output == *'child exited 74'* ]]
	equal '' "$(queued)"
}

@test "MUA: swaks --pipe" {
	need_command swaks
	send=(swaks --pipe '/usr/sbin/sendmail -bs' --from a@s.example
		--suppress-data)
	run -0 as nobody "${send[@]}" --to b@x.example,c@y.example
	equal "b@x.example user:nobody
c@y.example user:nobody" "$(queued)"
	forget
	run as nobody "${send[@]}" --to b@x..example
	equal 24 "$status"
	disk_full
	run as nobody "${send[@]}" --to b@x.example
	equal 26 "$status"
	[[ $output == *' 451 4.3.0'* ]]
	equal '' "$(queued)"
}

# cron of its own: no other's tables, pid file, log or PAM rules are seen.
@test "MUA: a cron job's output" {
	[ -x "$PEERS/cron/usr/sbin/cron" ] || skip 'needs cron unpacked: make peers'
	mkdir -p "$P/cron/crontabs" "$P/pam"
	echo "postmaster = ops@x.example" >>"$P/etc/vmta.conf"
	printf 'auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n' \
		>"$P/pam/cron"
	printf '%s\n' MAILTO=root,b@x.example \
		"@reboot printf 'one\n.\ntwo\n'" >"$P/cron/crontabs/nobody"
	chmod 1730 "$P/cron/crontabs"
	chmod 600 "$P/cron/crontabs/nobody"
	chown nobody "$P/cron/crontabs/nobody"
	cat >"$P/cron.sh" <<-END
		mount -t tmpfs spool /var/spool && mkdir /var/spool/cron || exit 77
		mount --bind "$P/cron" /var/spool/cron || exit 77
		mount -t tmpfs run /run || exit 77
		mount --bind "$P/pam" /etc/pam.d || exit 77
		mkdir /run/empty
		[ ! -d /etc/cron.d ] ||
			mount --bind /run/empty /etc/cron.d || exit 77
		[ ! -e /etc/crontab ] ||
			mount --bind /dev/null /etc/crontab || exit 77
		exec "$PEERS/cron/usr/sbin/cron" -f
	END
	start cron unshare -m -p -f --mount-proc --kill-child \
		--propagation private "$P/enter" bash "$P/cron.sh"
	wait_until cron_mailed
	# the first process of a namespace does not hear other signals
	end "$STARTED" KILL
	equal "b@x.example user:nobody
ops@x.example user:nobody" "$(queued)"
	grep -rq '^From: root (Cron Daemon)' "$P/spool/queue"
	grep -rq '^two' "$P/spool/queue"
}

# Its mail is there, or cron cannot run here.
cron_mailed() {
	[ "$(queued | wc -l)" = 2 ] || gone "$STARTED"
}
