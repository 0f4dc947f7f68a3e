#!/bin/sh
# Installs BlamePrompt Enterprise, or only what it needs. See usage below.
#
# For tests: BLAMEPROMPT_PG_ROOTS replaces the places beside PATH where
# PostgreSQL's server programs are looked for; DESTDIR is put before /etc and
# PREFIX.
set -eu

min_postgres=14
min_git=2.35
pg_roots=${BLAMEPROMPT_PG_ROOTS-"/usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql* /usr/local/pgsql/bin"}
prefix=${PREFIX:-/usr/local}
destdir=${DESTDIR-}
dry_run=no

usage() {
	cat <<USAGE
Usage: ./install.sh [--dry-run]          install the programs of ./bin into PREFIX/bin
                                         and their pages into PREFIX/share/man
       ./install.sh --system [--dry-run] the same, and run the daemon as a systemd service of an
                                         account of its own; over an older version: back the
                                         database up, replace the programs, start again
       ./install.sh --uninstall [--purge] [--dry-run]
                                         stop the service and remove programs, pages and unit;
                                         data, configuration and account go with --purge alone
       ./install.sh --deps [--dry-run]   install what they need and is missing:
                                         PostgreSQL's server programs >= $min_postgres, git >= $min_git,
                                         and ssh for remotes that are reached by it
       ./install.sh --help

--deps uses apt-get, dnf or apk, as root or through sudo, and neither creates
nor starts a PostgreSQL cluster. Where nothing is missing it does nothing and
needs no rights. --dry-run prints the commands instead of running them.

--system and --uninstall need root. With DESTDIR they touch files below it
alone: no account, no running service. Running either again changes nothing.

Environment: PREFIX (default /usr/local), DESTDIR.
USAGE
}

say() { printf '%s\n' "$*"; }

fail() {
	printf 'install.sh: %s\n' "$*" >&2
	exit 1
}

# run runs a command, or prints it.
run() {
	if [ "$dry_run" = yes ]; then
		say "+ $*"
	else
		"$@"
	fi
}

# as_root is run, with root's rights.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		run "$@"
	elif command -v sudo >/dev/null 2>&1; then
		run sudo "$@"
	else
		fail "this needs root, and sudo is not there; run as root: $0 --deps"
	fi
}

# at_least VERSION MINIMUM compares major.minor; a missing minor is 0.
at_least() {
	printf '%s\n' "$1" "$2" | awk -F. '
		NR == 1 { major = $1 + 0; minor = $2 + 0 }
		NR == 2 { exit !(major > $1 || major == $1 && minor >= $2 + 0) }'
}

# find_postgres prints version and directory of the first fit installation:
# on PATH, then in the places where distributions put the server programs.
find_postgres() {
	old_ifs=$IFS
	IFS=:
	# shellcheck disable=SC2086 # PATH is split on purpose
	set -- $PATH
	IFS=$old_ifs
	# shellcheck disable=SC2086 # the patterns are split and expanded on purpose
	for dir in "$@" $pg_roots; do
		[ -x "$dir/postgres" ] || continue
		real=$(readlink -f "$dir/postgres")
		[ -x "$(dirname "$real")/initdb" ] || continue
		version=$("$real" --version 2>/dev/null | sed -n 's/^postgres (PostgreSQL) \([0-9][^ ]*\).*/\1/p')
		if [ -n "$version" ] && at_least "$version" "$min_postgres"; then
			say "$version in $(dirname "$real")"
			return 0
		fi
	done
	return 1
}

find_git() {
	version=$(git --version 2>/dev/null | sed -n 's/^git version \([0-9.]*[0-9]\).*/\1/p')
	[ -n "$version" ] && at_least "$version" "$min_git" && say "$version"
}

# find_missing sets missing to the subset of "postgres git ssh" that is not there.
find_missing() {
	missing=
	if found=$(find_postgres); then
		say "PostgreSQL $found: fine"
	else
		missing=postgres
	fi
	if found=$(find_git); then
		say "git $found: fine"
	else
		missing="$missing git"
	fi
	if command -v ssh >/dev/null 2>&1 && command -v ssh-keygen >/dev/null 2>&1; then
		say "ssh: fine"
	else
		missing="$missing ssh"
	fi
}

# packages PG_PACKAGES SSH_PACKAGE prints the packages for what is missing.
packages() {
	for what in $missing; do
		case $what in
		postgres) printf '%s ' "$1" ;;
		git) printf 'git ca-certificates ' ;;
		ssh) printf '%s ' "$2" ;;
		esac
	done
}

# Debian's package creates and starts a system cluster unless this file says
# otherwise. It is there only while the package is installed.
no_cluster=$destdir/etc/postgresql-common/createcluster.d/blameprompt.conf

forbid_cluster() {
	as_root mkdir -p "$(dirname "$no_cluster")"
	# shellcheck disable=SC2016 # the inner shell expands it
	as_root sh -c 'echo "create_main_cluster = false" >"$1"' sh "$no_cluster"
	trap allow_cluster EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

allow_cluster() {
	trap - EXIT
	as_root rm -f "$no_cluster"
	as_root rmdir -p --ignore-fail-on-non-empty "$(dirname "$no_cluster")"
}

check_apt_version() {
	[ "$dry_run" = no ] || return 0
	version=$(apt-cache policy postgresql | sed -n 's/^ *Candidate: \([0-9]*\).*/\1/p')
	at_least "${version:-0}" "$min_postgres" ||
		fail "this distribution's PostgreSQL (${version:-none}) is older than $min_postgres; add the repository" \
			"of https://www.postgresql.org/download/ or set BLAMEPROMPT_DATABASE_URL to a server elsewhere"
}

install_apt() {
	as_root apt-get update -q
	case $missing in
	*postgres*)
		check_apt_version
		forbid_cluster
		;;
	esac
	# shellcheck disable=SC2046 # one word per package
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(packages postgresql openssh-client)
	case $missing in *postgres*) allow_cluster ;; esac
}

install_dnf() {
	# shellcheck disable=SC2046 # one word per package
	as_root dnf install -y $(packages "postgresql-server postgresql-contrib" openssh-clients)
}

install_apk() {
	# shellcheck disable=SC2046 # one word per package
	as_root apk add $(packages "postgresql postgresql-contrib" openssh-client)
}

install_deps() {
	find_missing
	[ -n "$missing" ] || return 0
	say "missing: ${missing# }"
	if command -v apt-get >/dev/null 2>&1; then
		install_apt
	elif command -v dnf >/dev/null 2>&1; then
		install_dnf
	elif command -v apk >/dev/null 2>&1; then
		install_apk
	else
		fail "no apt-get, dnf or apk here; install PostgreSQL's server programs >= $min_postgres, git >= $min_git and ssh by hand"
	fi
	[ "$dry_run" = no ] || return 0
	find_missing
	[ -z "$missing" ] ||
		fail "still missing or too old: ${missing# }; PostgreSQL >= $min_postgres, git >= $min_git and ssh are needed"
}

# put SOURCE TARGET MODE installs a file of ours. The old one is replaced as a
# whole: a program that runs goes on with what it began with.
put() {
	run install -m "$3" "$1" "$2.new" || fail "cannot write to $2; run as root or set PREFIX"
	run mv -f "$2.new" "$2"
}

programs_dir=$(dirname "$0")/bin
pages_dir=$(dirname "$0")/docs/man

make_dir() {
	run install -d "$@" || fail "cannot make the directory; run as root or set PREFIX"
}

install_programs() {
	[ -x "$programs_dir/blamepromptd" ] || fail "$programs_dir/blamepromptd is not there; run \"make build\" first"
	make_dir "$destdir$prefix/bin"
	for program in "$programs_dir"/*; do
		put "$program" "$destdir$prefix/bin/$(basename "$program")" 755
	done
	make_dir "$destdir$prefix/share/man/man1"
	for page in "$pages_dir"/*.1; do
		put "$page" "$destdir$prefix/share/man/man1/$(basename "$page")" 644
	done
	say "installed in $prefix/bin and $prefix/share/man"
}

# What the service has beside the programs.
account=blameprompt
data_dir=/var/lib/blameprompt
conf_dir=/etc/blameprompt
unit=/etc/systemd/system/blamepromptd.service

need_root() {
	[ -n "$destdir" ] || [ "$dry_run" = yes ] || [ "$(id -u)" = 0 ] || fail "this needs root: $0 $1"
}

# has_systemd: it runs, and it is this system that is installed into.
has_systemd() { [ -z "$destdir" ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; }

make_account() {
	[ -z "$destdir" ] || return 0
	if id -u "$account" >/dev/null 2>&1; then
		return 0
	elif command -v useradd >/dev/null 2>&1; then
		run useradd --system --user-group --home-dir "$data_dir" --no-create-home --shell /usr/sbin/nologin "$account"
	else
		run addgroup -S "$account"
		run adduser -S -D -H -h "$data_dir" -s /sbin/nologin -G "$account" "$account"
	fi
}

# own OWNER PATH... gives files to an account, of which DESTDIR has none.
own() {
	owner=$1
	shift
	[ -n "$destdir" ] || run chown "$owner" "$@"
}

# save FILE MODE writes standard input to a file, or says so.
save() {
	if [ "$dry_run" = yes ]; then
		cat >/dev/null
		say "+ write $1"
		return 0
	fi
	cat >"$1.new"
	chmod "$2" "$1.new"
	mv -f "$1.new" "$1"
}

make_config() {
	make_dir -m 750 "$destdir$conf_dir"
	[ -d "$destdir$data_dir" ] || make_dir -m 700 "$destdir$data_dir"
	own "root:$account" "$conf_dir"
	own "$account:$account" "$data_dir"
	if [ ! -e "$destdir$conf_dir/blamepromptd.toml" ]; then
		save "$destdir$conf_dir/blamepromptd.toml" 640 <<CONF
# "blamepromptd config" prints every setting with its meaning.
data_dir = "$data_dir"
CONF
		own "root:$account" "$conf_dir/blamepromptd.toml"
	fi
	if [ ! -e "$destdir$conf_dir/environment" ]; then
		save "$destdir$conf_dir/environment" 640 <<CONF
# Secrets of the service, such as BLAMEPROMPT_DATABASE_URL=postgres://...
CONF
		own "root:$account" "$conf_dir/environment"
	fi
}

make_unit() {
	make_dir "$(dirname "$destdir$unit")"
	save "$destdir$unit" 644 <<UNIT
[Unit]
Description=BlamePrompt Enterprise
Documentation=https://github.com/blameprompt/enterprise
After=network-online.target postgresql.service
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart=$prefix/bin/blamepromptd serve
EnvironmentFile=-$conf_dir/environment
User=$account
Group=$account
StateDirectory=blameprompt
StateDirectoryMode=0700
Restart=on-failure
RestartSec=2
WatchdogSec=60
# The private PostgreSQL is stopped by the daemon, not by a signal of its own.
KillMode=mixed
TimeoutStopSec=60
LimitNOFILE=65536
UMask=0077

NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
UNIT
}

# as_account runs the new daemon's program as the service would.
as_account() {
	if [ "$dry_run" = yes ]; then
		say "+ $* as $account"
	elif [ -n "$destdir" ]; then
		(
			set -a
			export BLAMEPROMPT_DATA_DIR="$destdir$data_dir"
			# shellcheck disable=SC1090,SC1091 # it is written at the first installation
			[ ! -r "$destdir$conf_dir/environment" ] || . "$destdir$conf_dir/environment"
			"$@" --config "$destdir$conf_dir/blamepromptd.toml"
		)
	else
		# shellcheck disable=SC2016 # the inner shell expands it
		su -s /bin/sh "$account" -c 'cd /; set -a; [ ! -r "$0" ] || . "$0"; exec "$@"' "$conf_dir/environment" "$@"
	fi
}

# back_up_older writes the database of an installation that is there into a file,
# by the new program: the old one may not know how. Nothing is replaced if it fails.
back_up_older() {
	[ -x "$destdir$prefix/bin/blamepromptd" ] && [ -e "$destdir$conf_dir/blamepromptd.toml" ] || return 0
	[ -n "$(ls -A "$destdir$data_dir" 2>/dev/null)" ] || return 0
	say "backing the database up first"
	staged=$destdir$prefix/bin/.blamepromptd.backup
	run install -m 755 "$programs_dir/blamepromptd" "$staged" || fail "cannot write to $prefix/bin"
	if ! as_account "$staged" backup; then
		rm -f "$staged"
		fail "the database could not be backed up; nothing was changed"
	fi
	run rm -f "$staged"
}

start_service() {
	if ! has_systemd; then
		say "systemd does not run here; start it with: blamepromptd serve"
		return 0
	fi
	run systemctl daemon-reload
	run systemctl enable --quiet blamepromptd.service
	run systemctl restart blamepromptd.service
	say "blamepromptd runs; on its first start it wrote an admin key: journalctl -u blamepromptd"
}

install_system() {
	need_root --system
	[ -x "$programs_dir/blamepromptd" ] || fail "$programs_dir/blamepromptd is not there; run \"make build\" first"
	make_account
	back_up_older
	install_programs
	make_config
	make_unit
	start_service
}

uninstall() {
	need_root --uninstall
	if has_systemd && [ -e "$unit" ]; then
		run systemctl disable --now --quiet blamepromptd.service || say "the service was not running"
	fi
	run rm -f "$destdir$unit"
	for program in blamepromptd blameprompt-hook blameprompt-enterprise; do
		run rm -f "$destdir$prefix/bin/$program"
	done
	run rm -f "$destdir$prefix/share/man/man1/blamepromptd.1" "$destdir$prefix/share/man/man1"/blameprompt-*.1
	if has_systemd; then run systemctl daemon-reload; fi
	if [ "$purge" = no ]; then
		say "removed; $data_dir and $conf_dir are kept (--purge removes them)"
		return 0
	fi
	run rm -rf "$destdir$data_dir" "$destdir$conf_dir"
	if [ -z "$destdir" ] && id -u "$account" >/dev/null 2>&1; then
		run userdel "$account" || run deluser "$account"
	fi
	say "removed, with its data and configuration"
}

action=install_programs
purge=no
for arg in "$@"; do
	case $arg in
	--deps) action=install_deps ;;
	--system) action=install_system ;;
	--uninstall) action=uninstall ;;
	--purge) purge=yes ;;
	--dry-run) dry_run=yes ;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		usage >&2
		fail "unknown argument: $arg"
		;;
	esac
done
[ "$purge" = no ] || [ "$action" = uninstall ] || fail "--purge goes with --uninstall"
$action
