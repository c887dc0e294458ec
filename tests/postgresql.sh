# Finding PostgreSQL; read by the other scripts here. The places are those of tests/harness/servers.rs.

# pg_bin MAJOR: the directory of the programs of that major version; nothing and a failure if there is none.
pg_bin() {
    for bin in \
        "${PGMONETA_TEST_SERVERS:-target/postgresql}/$1/bin" \
        "/usr/lib/postgresql/$1/bin" "/usr/pgsql-$1/bin" "/usr/local/pgsql-$1/bin" /usr/local/bin /usr/bin
    do
        if [ -x "$bin/initdb" ] && "$bin/postgres" --version 2>/dev/null | grep -Eq "PostgreSQL\) $1([^0-9]|\$)"; then
            echo "$bin"
            return 0
        fi
    done
    return 1
}

# pg_bin_complete: the directory of a version that has the client programs too, the newest.
pg_bin_complete() {
    for major in 18 17 16 15 14 13; do
        if bin=$(pg_bin "$major") && [ -x "$bin/psql" ] && [ -x "$bin/pgbench" ]; then
            echo "$bin"
            return 0
        fi
    done
    return 1
}
