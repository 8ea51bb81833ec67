#!/usr/bin/env bash
# Power cuts: the machine records to a disk of its own, whose every write and flush is logged, and is killed; then it
# boots again and looks at the disk as many cuts would have left it, with unflushed writes dropped and torn. What the
# outside had been told as committed must be there, and the start must say what is not (tests/vm/power/).
#
#   tests/vm/power.sh [--cuts N] [--kills N] [--seconds N] [--seed N] [--keep FOLDER]
#
#   --cuts      cuts in all (default 12), the real kills among them
#   --kills     real kills (default 1); from the second on, the machine goes on with the disk that the kill before left
#   --seconds   how long is recorded before each kill (default 14), and up to half as long again
#   --seed      of everything that is left to chance but the machine itself (default: another one each time)
#   --keep      where logs, plans and findings stay; with the seed they give the same cuts again
#
# PERCH_BIN says which perch records, POWER_BIN where the example `power` was built.
set -euo pipefail
# shellcheck source=tests/vm/machine.sh
. "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
# shellcheck source=tests/vm/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

cuts=12 kills=1 seconds=14 seed=$((RANDOM << 15 | RANDOM)) keep=
while (($# > 0)); do
  case $1 in
    -h | --help) sed -n '2,15s/^# \?//p' "$0"; exit 0 ;;
    --cuts | --kills | --seconds | --seed)
      [[ ${2:-} =~ ^[0-9]+$ ]] || machine_fail "$1 wants a number"
      printf -v "${1#--}" %s "$2"
      ;;
    --keep) keep=${2:?--keep wants a folder} ;;
    *) machine_fail "unknown option $1" ;;
  esac
  shift 2
done
((kills >= 1 && cuts >= kills)) || machine_fail 'at least one kill, and no more kills than cuts'

target=${CARGO_TARGET_DIR:-$repository/target}
perch=$(realpath "${PERCH_BIN:-$target/debug/perch}")
power=$(realpath "${POWER_BIN:-$target/debug/examples/power}")
command -v mkfs.ext4 >/dev/null || machine_fail 'missing: mkfs.ext4 (scripts/setup vm)'
disk_bytes=$((256 << 20))
# Cuts of disks that lie, in the first round: a check that does not notice them is worth nothing.
lies=2

work=$(mktemp -d)
[ -z "$keep" ] || mkdir -p "$keep"
servers=()
machine_also_leave() {
  local server
  for server in ${servers[@]+"${servers[@]}"}; do
    kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
  done
  [ -z "$keep" ] || cp -r "$work"/. "$keep"
  rm -rf "$work"
}
trap machine_also_leave EXIT

# serve NAME ARGUMENT... : the power program, until its socket is there. Sets $served.
serve() {
  local name=$1
  shift
  "$power" "$@" >"$work/$name.log" 2>&1 &
  served=$!
  servers+=("$served")
  until [ -S "$2" ]; do
    kill -0 "$served" 2>/dev/null || { cat "$work/$name.log" >&2; machine_fail "$name did not start"; }
    sleep 0.1
  done
}

says() { grep -q "$2" "$work/$1.log"; }
guest_runs() { guest "kill -0 \$(cat /run/guest/$1.pid)"; }

# Boots with the disks of the last round's cuts, if there was one, and one to record to.
boot() {
  local round=$1 last=$(($1 - 1))
  machine_disks=()
  if ((last > 0)); then
    machine_disks+=("nbd:unix:$work/cuts-$last.socket")
  fi
  if ((round <= kills)); then
    machine_disks+=("nbd:unix:$work/disk-$round.socket")
  fi
  # shellcheck disable=SC2119
  machine_boot
  url=$(machine_url)
  # ext4 asks for its checksums by a name that the kernel has no program here to look up.
  guest "modprobe virtio_blk; modprobe crc32c_generic 2>/dev/null; modprobe ext4; modprobe loop; mkdir -p /run/guest/disk /run/guest/cut"
  cat >"$machine_folder/exchange/perch.toml" <<'TOML'
[server]
listen = "0.0.0.0:8080"
[ladder]
frame_rate = 10
[[cameras]]
source = "test"
id = "test"
size = "320x180"
TOML
}

# Mounts the disk and records to it, until it is killed in the middle of something.
record() {
  local round=$1 device=$2 left before=$failures
  # The base of a later round has a file system already.
  ((round > 1)) || guest "mkfs.ext4 -q -m 0 -E lazy_itable_init=0,lazy_journal_init=0 $device"
  guest "mount -t ext4 $device /run/guest/disk && mkdir -p /run/guest/disk/driver /run/guest/disk/perch && sync"
  guest "'$perch' run --config /run/exchange/perch.toml --data /run/guest/disk/perch >>/run/exchange/log-perch 2>&1 &
    echo \$! >/run/guest/perch.pid"
  expect "round $round: perch records" within 300 says "record-$round" '^perch records'
  guest "'$power' drive /run/guest/disk/driver 8081 >>/run/exchange/log-driver 2>&1 &
    echo \$! >/run/guest/driver.pid"
  expect "round $round: segments are recorded" within 300 says "record-$round" '^the driver records'
  sleep "$seconds"
  # shellcheck disable=SC2016
  expect "round $round: both run until the power is cut" guest 'kill -0 $(cat /run/guest/perch.pid) $(cat /run/guest/driver.pid)'
  ((failures == before)) || exit 1
  left=$(((seed * 7919 + round * 104729) % (seconds * 500 + 1)))
  sleep "$((left / 1000)).$(printf %03d $((left % 1000)))"
}

# LOG: recovery says how many whole segments it cut off, and which, each on a line of its own.
names_what_is_gone() {
  local count
  grep -aE 'recordings (recovered|opened)' "$1" || return 1
  count=$(sed -n 's/.*recordings recovered.*(\([0-9]*\) whole segments.*/\1/p' "$1")
  [ "$(grep -ac 'cut off: it was written, but not committed' "$1")" -eq "${count:-0}" ]
}

# Looks at every cut of a round, in one boot.
check() {
  local round=$1 count
  count=$(wc -l <"$work/plan-$round")
  # The disk as the kill left it: the appliance itself starts on it, and says what it found.
  guest "mount -t ext4 -o loop,offset=0,sizelimit=$disk_bytes /dev/vda /run/guest/cut &&
    { '$perch' run --config /run/exchange/perch.toml --data /run/guest/cut/perch >/run/exchange/log-perch-again 2>&1 &
      echo \$! >/run/guest/perch.pid; }"
  expect "round $round: perch starts after the kill" within 300 answers /healthz
  expect "round $round: its recordings are there" within 120 answers /recordings/test/master.m3u8
  expect "round $round: it says what it found" names_what_is_gone "$machine_folder/exchange/log-perch-again"
  grep -aoE 'recordings (recovered|opened).*' "$machine_folder/exchange/log-perch-again" | head -n 1 | sed 's/^/     /'
  guest "kill -TERM \$(cat /run/guest/perch.pid); for _ in \$(seq 100); do kill -0 \$(cat /run/guest/perch.pid) 2>/dev/null || break; sleep 0.1; done
    umount /run/guest/cut"
  GUEST_SECONDS=$((count * 60)) guest "
    cut=0
    while [ \$cut -lt $count ]; do
      if mount -t ext4 -o loop,offset=\$((cut * $disk_bytes)),sizelimit=$disk_bytes /dev/vda /run/guest/cut; then
        for who in driver perch; do
          '$power' check \$who /run/guest/cut/\$who \$cut || echo \"{\\\"cut\\\":\$cut,\\\"who\\\":\\\"\$who\\\",\\\"error\\\":\\\"the check failed\\\"}\"
        done
        umount /run/guest/cut
      else
        for who in driver perch; do
          echo \"{\\\"cut\\\":\$cut,\\\"who\\\":\\\"\$who\\\",\\\"error\\\":\\\"the file system cannot be mounted\\\"}\"
        done
      fi
      cut=\$((cut + 1))
    done" >"$work/found-$round" || machine_fail "the cuts of round $round could not be looked at"
  "$power" judge "$work/plan-$round" "$work/found-$round" || failures=$((failures + 1))
}

machine_say "power cuts: seed $seed"
machine_ports[8081]=$(machine_free_port)
for round in $(seq $((kills + 1))); do
  # The port that leads to perch is chosen by machine_boot; the watcher has to know it before.
  machine_fixed_port=$(machine_free_port)
  if ((round <= kills)); then
    base=()
    ((round == 1)) || base=("$work/log-$((round - 1))" $((seed + round - 1)))
    serve "record-$round" record "$work/disk-$round.socket" "$work/log-$round" $disk_bytes \
      "127.0.0.1:${machine_ports[8081]}" "127.0.0.1:$machine_fixed_port" test ${base[@]+"${base[@]}"}
    recorder=$served
  fi
  boot "$round"
  if ((round > 1)); then check $((round - 1)); fi
  ((round <= kills)) || break
  record "$round" "$( ((round == 1)) && echo /dev/vda || echo /dev/vdb)"
  machine_kill
  wait "$recorder" || machine_fail "the disk's log of round $round is not whole: $(cat "$work/record-$round.log")"
  tail -n 1 "$work/record-$round.log" | sed 's/^/     /'
  share=$((cuts / kills + (round <= cuts % kills ? 1 : 0)))
  serve "cuts-$round" cuts "$work/cuts-$round.socket" "$work/log-$round" $disk_bytes $((seed + round)) \
    "$share" "$((round == 1 ? lies : 0))" "$work/plan-$round"
done

echo "$failures failures, seed $seed"
[ "$failures" -eq 0 ] || exit 1
machine_stop
