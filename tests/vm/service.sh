#!/usr/bin/env bash
# Perch as the system's service, inside the machine: systemd starts it with the unit that ships, in its sandbox, as its
# own user. PERCH_BIN says which binary (default: the debug build).
set -euo pipefail
# shellcheck source=tests/vm/machine.sh
. "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
# shellcheck source=tests/vm/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

[ -x /lib/systemd/systemd ] || {
  echo 'skipped: this system has no systemd'
  exit 0
}
perch=$(realpath "${PERCH_BIN:-$repository/target/debug/perch}")

says() { get "$1" | grep -q "$2"; }
show() { guest systemctl show perch --value -p "$1"; }
is() { [ "$(show "$1")" = "$2" ]; }
journal_has() { guest journalctl -u perch -o json --no-pager | grep -q "$1"; }

give_up() {
  guest 'systemctl status perch --no-pager; journalctl --no-pager -u perch | tail -n 60' || true
  exit 1
}

machine_boot systemd
url=$(machine_url)
cat >"$machine_folder/exchange/perch.toml" <<'TOML'
[ladder]
frame_rate = 10
[[cameras]]
source = "test"
size = "320x180"
TOML
# As the README says it is installed; only the watchdog's patience is shorter than anybody wants to wait.
guest "set -e
mkdir -p /etc/sysusers.d
cp '$perch' /usr/local/bin/perch
cp systemd/perch.service /etc/systemd/system/
cp systemd/perch.sysusers /etc/sysusers.d/perch.conf
mkdir -p /etc/perch /etc/systemd/system/perch.service.d
cp /run/exchange/perch.toml /etc/perch/perch.toml
printf '%s\n' PERCH_CONFIG=/etc/perch/perch.toml PERCH_LISTEN=0.0.0.0:8080 >/etc/default/perch
printf '%s\n' '[Service]' 'WatchdogSec=6' >/etc/systemd/system/perch.service.d/test.conf
systemd-sysusers
systemctl daemon-reload" >/dev/null

expect 'systemd starts it, and waits until it is ready' guest systemctl start perch
[ "$failures" -eq 0 ] || give_up
expect 'it is active' is ActiveState active
expect 'it runs as its own user' guest 'test "$(ps -o user= -C perch)" = perch'
expect 'it answers' within 60 answers /healthz
expect 'the test scene is live' within 60 says /api/v1/cameras '"state":"live"'
expect 'it is recorded' within 60 says /api/v1/cameras '"state":"recording"'
expect 'in the folder that systemd made for it' within 30 guest 'ls /var/lib/perch/db/index.db && ls /var/lib/perch/reel/test/*/*'
expect 'a still can be had' answers /api/v1/cameras/test/still.jpg
expect 'its log is in the journal, with fields' within 30 journal_has '"F_CAMERA":"test"'
expect 'nothing was forbidden that it needed' guest '! journalctl -u perch --no-pager | grep -iE "permission denied|not permitted|panick"'
sleep 8
expect 'the watchdog is fed' is NRestarts 0
guest 'kill -STOP $(systemctl show perch --value -p MainPID)'
expect 'a process that hangs is started again' within 60 is NRestarts 1
expect 'and is live again' within 60 says /api/v1/cameras '"state":"live"'
expect 'it stops when told to' guest systemctl stop perch
expect 'by itself' is Result success
expect 'its last word is in the journal' within 10 journal_has '"MESSAGE":"stopped"'

echo "$failures failures"
[ "$failures" -eq 0 ] || give_up
machine_stop
