#!/bin/sh
# A backup, a dropped table and a point-in-time recovery on a temporary PostgreSQL. Prints each command that it
# runs, and removes everything at the end. PostgreSQL and pgmoneta refuse to run as root: if root runs this, it
# uses the user postgres.
set -eu

if [ "${1:-}" != inside ]; then
    cd "$(dirname "$0")/.."
    . tests/postgresql.sh
    postgresql=$(pg_bin_complete) || { echo "demo: no PostgreSQL; make demo installs it" >&2; exit 1; }
    work=$(mktemp -d /tmp/pgmoneta-demo.XXXXXX)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' INT TERM HUP
    mkdir "$work/bin"
    target=${CARGO_TARGET_DIR:-target}/release
    cp "$target/pgmoneta" "$target/pgmoneta-cli" "$target/pgmoneta-admin" "$work/bin"
    cp tests/demo.sh "$work/demo.sh"
    if [ "$(id -u)" != 0 ]; then
        sh "$work/demo.sh" inside "$work" "$postgresql"
    elif command -v runuser >/dev/null; then
        chown -R postgres "$work"
        runuser -u postgres -- sh "$work/demo.sh" inside "$work" "$postgresql"
    else
        chown -R postgres "$work"
        su -m postgres -c "sh $work/demo.sh inside $work $postgresql"
    fi
    exit
fi

work=$2
postgresql=$3
cd "$work"
umask 077
unset PGMONETA_CONFIG_DIR PGMONETA_PASSWORD PGDATA PGHOST PGPORT PGUSER PGDATABASE PGPASSWORD || true
HOME=$work/home
PATH=$work/bin:$postgresql:$PATH
export HOME PATH
mkdir home run restored
# A port that is probably free; if it is not, the server does not start and the demo fails.
port=$((20000 + $$ % 10000))

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
if [ ! -t 1 ]; then
    step() { printf '\n== %s\n' "$*"; }
fi
exec 3>&1 # commands are printed here even if their output is redirected
run() {
    printf '$' >&3
    for word in "$@"; do
        case $word in
            *[\ \*]*) printf " '%s'" "$word" >&3 ;;
            *) printf ' %s' "$word" >&3 ;;
        esac
    done
    printf '\n' >&3
    "$@"
}
sql() { # database port, SQL
    printf '$ psql -p %s -c "%s"\n' "$1" "$2"
    psql -X -q -h "$work/run" -p "$1" -U postgres -v ON_ERROR_STOP=1 -c "$2" postgres
}
end() {
    status=$?
    trap - EXIT
    if [ "$status" != 0 ]; then
        echo
        echo "The demo failed. The last lines of the logs:"
        tail -n 20 pgmoneta.log postgresql.log restored.log 2>/dev/null || true
    fi
    pgmoneta-cli -c pgmoneta.conf shutdown >/dev/null 2>&1 || true
    for data in data restored/*; do
        [ ! -f "$data/postmaster.pid" ] || pg_ctl -D "$data" -m immediate -w stop >/dev/null 2>&1 || true
    done
    exit "$status"
}
trap end EXIT
trap 'exit 1' INT TERM HUP

step "A temporary PostgreSQL"
run initdb -D data -U postgres --auth-local=trust --auth-host=scram-sha-256 --data-checksums >initdb.log
echo "password_encryption = 'scram-sha-256'" >>data/postgresql.conf
run pg_ctl -D data -l postgresql.log -o "-p $port -k $work/run -c listen_addresses=127.0.0.1" -w start >/dev/null
sql "$port" "CREATE ROLE repl LOGIN REPLICATION PASSWORD 'secret'"

step "The master key, which encrypts stored passwords, and the password of the role"
run pgmoneta-admin -g master-key
# At a terminal it prompts for the password.
run pgmoneta-admin -f pgmoneta_users.conf -U repl user add <<END
secret
END

step "The configuration"
cat >pgmoneta.conf <<END
[pgmoneta]
host = localhost
unix_socket_dir = $work/run
base_dir = $work/repository
compression = zstd
log_type = file
log_path = $work/pgmoneta.log

[primary]
host = 127.0.0.1
port = $port
user = repl
wal_slot = pgmoneta
create_slot = on
END
printf '$ cat pgmoneta.conf\n'
cat pgmoneta.conf

step "The repository, which is created once"
run pgmoneta-admin repository create -c pgmoneta.conf

step "The daemon, which streams WAL from now on"
run pgmoneta -c pgmoneta.conf -u pgmoneta_users.conf -d
run pgmoneta-cli -c pgmoneta.conf ping

step "Data, and a backup"
run pgbench -q -i -s 5 -h "$work/run" -p "$port" -U postgres postgres 2>&1 | tail -n 1
sql "$port" "CREATE TABLE orders AS SELECT g AS id, 'customer ' || g % 100 AS customer FROM generate_series(1, 10000) g"
run pgmoneta-cli -c pgmoneta.conf backup primary
run pgmoneta-cli -c pgmoneta.conf list-backup primary

step "More data after the backup; it is in the WAL only"
sql "$port" "INSERT INTO orders SELECT g, 'late customer' FROM generate_series(10001, 10500) g"
sql "$port" "SELECT count(*), max(customer) FROM orders"
moment=$(psql -X -q -A -t -h "$work/run" -p "$port" -U postgres -c "SELECT clock_timestamp()" postgres)
echo "The time is $moment."

step "The table is dropped by mistake"
sql "$port" "DROP TABLE orders"

# WAL that the daemon has not received cannot be restored.
until [ "$(psql -X -q -A -t -h "$work/run" -p "$port" -U postgres -c \
    "SELECT restart_lsn >= pg_current_wal_flush_lsn() FROM pg_replication_slots" postgres)" = t ]; do
    sleep 0.2
done

step "Restore to the time before the mistake"
run pgmoneta-cli -c pgmoneta.conf restore primary newest "time=$moment" "$work/restored"
restored=$(echo "$work"/restored/primary-*)
run pg_ctl -D "$restored" -l restored.log -o "-p $((port + 1)) -k $work/run -c listen_addresses=" -w start >/dev/null
until [ "$(psql -X -q -A -t -h "$work/run" -p "$((port + 1))" -U postgres -c "SELECT pg_is_in_recovery()" postgres)" = f ]; do
    sleep 0.2 # it replays WAL up to that time, then it is promoted
done
sql "$((port + 1))" "SELECT count(*), max(customer) FROM orders"
rows=$(psql -X -q -A -t -h "$work/run" -p "$((port + 1))" -U postgres -c "SELECT count(*) FROM orders" postgres)
[ "$rows" = 10500 ] || { echo "demo: $rows rows instead of 10500" >&2; exit 1; }

step "All 10500 rows are restored. Cleaning up"
run pgmoneta-cli -c pgmoneta.conf shutdown
