#!/bin/sh
# Makes the seeds that are copies or parts of other files: those of tests/data/c-repositories, which
# the C program and PostgreSQL wrote, and what tar, gzip, bzip2, zstd and lz4 write. The other seeds
# are text, or were found by fuzzing. Run it from the root; needs GNU tar, and zstd and lz4.
set -eu
seeds=$PWD/fuzz/seeds
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for name in 15-none-none 15-lz4-none 17-zstd-none-incremental; do
    mkdir "$scratch/$name"
    tar --zstd -xf "tests/data/c-repositories/$name.tar.zst" -C "$scratch/$name"
done
for target in backend cluster_files config management repository server_manifest stored tar users wal; do
    mkdir -p "$seeds/$target"
done
cd "$scratch"
none=$(echo 15-none-none/srv/pgmoneta/primary) zstd=$(echo 17-zstd-none-incremental/srv/pgmoneta/primary)
lz4=$(echo 15-lz4-none/srv/pgmoneta/primary)
first() { ls -d "$1"/backup/* | head -n 1; }
last() { ls -d "$1"/backup/* | tail -n 1; }

# The label of the backups is fixed in the target.
for version in none zstd; do
    eval "backup=\$(last \$$version)"
    for file in backup.info backup.manifest backup.sha512; do
        head -n 60 "$backup/$file" | sed "s/^LABEL=.*/LABEL=20261122082253/" | tail -c 3000 \
            >"$seeds/repository/c_${version}_$file"
    done
    sed "s/^LABEL=.*/LABEL=20261122082253/" "$backup/backup.info" \
        >"$seeds/repository/c_${version}_backup.info"
    cp "$backup/data/backup_label" "$seeds/cluster_files/backup_label_$version"
    # Five of the files. The target adds the last line.
    manifest=$backup/data/backup_manifest
    { sed -n '1,/"Files"/p' "$manifest" | head -n 8
      grep '"Path"' "$manifest" | head -n 4
      grep '"Path"' "$manifest" | tail -n 1
      sed -n '/^\]/,$p' "$manifest" | sed '$d'
    } | awk '!seen[$0]++ || /^\]/' | head -c -1 >"$seeds/server_manifest/$version"
done
zstd -qdc "$zstd"/backup/*/data/global/pg_control.zstd | head -c 400 \
    >"$seeds/cluster_files/pg_control" || :
increment=$(ls "$(last "$zstd")"/data/global/INCREMENTAL.* | head -n 1)
zstd -qdc "$increment" >"$seeds/cluster_files/increment"
{ printf '\015\037\256\323\001\000\000\000\005\000\000\000\003\000\000\000'
  head -c 16368 /dev/zero
} >"$seeds/cluster_files/increment_block"
zstd -qdc "$(last "$zstd")/data/postgresql.conf.zstd" | grep -v '^#' |
    grep "[=']" | head -n 20 >"$seeds/cluster_files/postgresql.conf"

# WAL: the first two pages of a segment.
segment=$(ls "$none"/wal/????????????????????????  | head -n 1)
{ printf P; head -c 16384 "$segment"; } >"$seeds/wal/pages_15"
{ printf P; zstd -qdc "$(ls "$zstd"/wal/*.zstd | tail -n 1)" | head -c 16384; } >"$seeds/wal/pages_17"

# Stored files: the first byte is the format, see src/codec/fuzz.rs.
text='pgmoneta pgmoneta pgmoneta 0123456789'
printf '%s\n%s\n' "$text" "$text" >plain
stored() { { printf "\\$(printf %03o "$1")"; cat; } >"$seeds/stored/$2"; }
stored 0 none <plain
gzip -9nc plain | stored 1 gzip
zstd -qc plain | stored 2 zstd
lz4 -qc plain | stored 3 lz4
bzip2 -c plain | stored 4 bzip2
cat plain plain | { zstd -qc; zstd -qc <plain; } | stored 2 zstd_frames
gzip -9nc plain | stored 129 message_gzip
zstd -qc plain | stored 130 message_zstd
bzip2 -c plain | stored 132 message_bzip2
zstd -qc plain | stored 90 sealed_zstd
records=$(find "$(first "$lz4")" -name '*.lz4' -size -3000c -size +1000c | sort | head -n 1)
stored 3 lz4_records <"$records"
find "$(first "$lz4")" -name '*.lz4' -size -40c | sort | head -n 1 | xargs cat | stored 3 lz4_record

# An archive as the server sends it, but for the links, which have a slash there.
mkdir -p data/base/5 data/pg_tblspc
printf 17 >data/PG_VERSION
head -c 600 "$segment" >data/base/5/1259
: >data/base/5/empty
ln -s /srv/tablespace data/pg_tblspc/16400
tar --format=ustar --sort=name --mtime=@1795000000 --owner=0 --group=0 --mode=go= -C data -cf - . |
    head -c 6144 >"$seeds/tar/ustar"

# A frame: compression, encryption, length, document.
frame() {
    length=$(wc -c <"$2")
    { printf "\\$(printf %03o "$1")\\000\\000\\000"
      printf "\\$(printf %03o $((length / 256)))\\$(printf %03o $((length % 256)))"
      cat "$2"
    } >"$seeds/management/$3"
}
json=$seeds/management/ping.json
frame 0 "$json" frame_plain
gzip -9nc "$json" | base64 -w 0 >payload
frame 1 payload frame_gzip
zstd -qc "$json" | base64 -w 0 >payload
frame 2 payload frame_zstd
