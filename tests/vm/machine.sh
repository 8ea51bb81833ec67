# shellcheck shell=bash
# A virtual machine with a real V4L2 driver: Debian's or Ubuntu's stock kernel with `vivid`, the host's own root
# read-only below a RAM overlay, so that what was built here runs there. Needs no KVM and no rights. Sourced by `run` and
# by scenarios:
#
#   machine_boot [systemd]  boots, with systemd as the first process or none but ours; returns once it takes commands
#   guest COMMAND...        runs a shell command in it (as root, in the repository), prints its output, returns its status;
#                           /run/guest is empty and its own, all other folders show what the host has
#   machine_url             http://… that leads to port 8080 of the machine
#   machine_stop            turns it off
#   machine_kill            cuts its power: the process is killed where it stands
#
# Before machine_boot, a scenario may put disks into machine_disks (what QEMU's -drive takes as file=) and forward more
# of the machine's ports (machine_ports[8081]=PORT on the host); machine_also_leave, if it is a function, runs on exit.
#
# On exit the machine is killed, only this one, and after a failure its console is shown.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
machine_cache=${PERCH_VM_CACHE:-$repository/target/vm}
# Seconds that a boot may take, and a single command unless it sets GUEST_SECONDS itself. TCG on a busy machine is slow.
machine_boot_seconds=${PERCH_VM_BOOT_SECONDS:-180}
machine_folder=
machine_pid=
machine_port=
machine_disks=()
declare -A machine_ports=()

machine_say() { printf 'vm: %s\n' "$*" >&2; }

machine_fail() {
  machine_say "$*"
  exit 1
}

# Waits for a condition. SECONDS COMMAND...
machine_wait() {
  local until=$(($(date +%s) + $1))
  shift
  until "$@"; do
    [ "$(date +%s)" -lt "$until" ] || return 1
    machine_is_running || return 1
    sleep 0.1
  done
}

machine_is_running() { [ -n "$machine_pid" ] && kill -0 "$machine_pid" 2>/dev/null; }

machine_need() {
  local missing=
  for pair in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static v4l2-ctl:v4l-utils dpkg-deb:dpkg apt-get:apt gzip:gzip; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
  done
  [ -z "$missing" ] || machine_fail "missing:$missing (apt-get install$missing)"
  ! ldd "$(command -v busybox)" >/dev/null 2>&1 || machine_fail "busybox is not static (apt-get install busybox-static)"
}

# The packages that hold the stock kernel and all its modules, one a line; none where this system's sources have neither
# Debian's nor Ubuntu's. Debian's image has all of them; Ubuntu's leaves them to a package of the common ones and, where
# there is one, another of the rest, vivid among them.
machine_kernel_packages() {
  local image version
  image=$(machine_newest_image linux-image-amd64)
  [ -z "$image" ] || { echo "$image"; return; }
  image=$(machine_newest_image linux-image-generic)
  [ -n "$image" ] || return 0
  version=${image#linux-image-}
  printf '%s\n' "$image" "linux-modules-$version"
  ! apt-cache show "linux-modules-extra-$version" >/dev/null 2>&1 || echo "linux-modules-extra-$version"
}

# The image that a meta package leads to. apt answers in the user's language.
machine_newest_image() {
  LC_ALL=C apt-cache depends "$1" 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# The kernel is downloaded and unpacked once, never installed.
machine_fetch_kernel() {
  [ ! -e "$machine_cache/kernel/ready" ] || return 0
  local packages package fresh version
  mapfile -t packages < <(machine_kernel_packages)
  [ ${#packages[@]} -gt 0 ] || machine_fail "this system's packages have neither Debian's linux-image-amd64 nor Ubuntu's linux-image-generic (apt-get update?); elsewhere put either's kernel, unpacked, in $machine_cache/kernel, with an empty file 'ready'"
  machine_say "downloading ${packages[*]}, once"
  mkdir -p "$machine_cache"
  fresh=$(mktemp -d "$machine_cache/kernel.XXXXXX")
  (cd "$fresh" && apt-get -qq download "${packages[@]}" 2>/dev/null) || machine_fail "${packages[*]} could not be downloaded (apt-get update?)"
  for package in "$fresh"/*.deb; do
    dpkg-deb -x "$package" "$fresh"
    rm "$package"
  done
  # Since Debian 13 they are below /usr.
  [ -d "$fresh/lib/modules" ] || { mkdir -p "$fresh/lib" && mv "$fresh/usr/lib/modules" "$fresh/lib/modules"; }
  version=$(ls "$fresh/lib/modules")
  # Newer kernel packages compress their modules, Debian's as .xz and Ubuntu's as .zst; busybox loads plain ones.
  machine_unpack_modules "$fresh" xz xz -d
  machine_unpack_modules "$fresh" zst zstd -q -d --rm
  busybox depmod -b "$fresh" "$version"
  touch "$fresh/ready"
  rm -rf "$machine_cache/kernel"
  mv "$fresh" "$machine_cache/kernel"
}

# FOLDER SUFFIX COMMAND... : the command replaces files by what they hold.
machine_unpack_modules() {
  local folder=$1 suffix=$2
  shift 2
  [ -n "$(find "$folder/lib/modules" -name "*.ko.$suffix" -print -quit)" ] || return 0
  command -v "$1" >/dev/null || machine_fail "missing: $1, which this kernel's modules are packed with (scripts/setup vm)"
  find "$folder/lib/modules" -name "*.ko.$suffix" -print0 | xargs -0 -n 64 -P "$(nproc)" "$@" ||
    machine_fail "the kernel's modules could not be unpacked (is the disk full?)"
}

# The paths of a module and of what it needs, in the order of loading, below the modules' folder.
machine_modules() {
  local folder=$1 name line
  shift
  for name in "$@"; do
    line=$(grep "/${name}\.ko:" "$folder/modules.dep") || continue # built in
    # modules.dep names the nearest need first: load from the far end.
    printf '%s\n' "${line%%:*} ${line#*:}" | tr ' ' '\n' | sed '/^$/d' | tac
  done | awk '!seen[$0]++'
}

machine_make_initrd() {
  local kernel=$machine_cache/kernel version modules root
  version=$(ls "$kernel/lib/modules")
  modules=$kernel/lib/modules/$version
  [ "$machine_cache/initrd.gz" -ot "$repository/tests/vm/machine.sh" ] || [ "$machine_cache/initrd.gz" -ot "$kernel/ready" ] || return 0
  root=$(mktemp -d "$machine_cache/initrd.XXXXXX")
  mkdir -p "$root"/{bin,proc,sys,dev,modules}
  cp "$(command -v busybox)" "$root/bin/busybox"
  local order=0 path
  for path in $(machine_modules "$modules" virtio_pci 9pnet_virtio 9p overlay virtio_net); do
    order=$((order + 1))
    cp "$modules/$path" "$root/modules/$(printf %02d $order)-$(basename "$path")"
  done
  cat >"$root/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod "$module" || echo "insmod $module failed"; done
share() { $b mkdir -p "$2" && $b mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576,"$3" "$1" "$2"; }
share hostroot /below ro,cache=loose
$b mkdir -p /above /whole
$b mount -t tmpfs above /above
$b mkdir /above/upper /above/work
$b mount -t overlay -o lowerdir=/below,upperdir=/above/upper,workdir=/above/work whole /whole
share exchange /whole/run/exchange cache=none
for folder in proc sys dev; do $b mount -o move /$folder /whole/$folder; done
exec $b switch_root /whole /bin/sh /run/exchange/guest-init
INIT
  chmod +x "$root/init"
  (cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$machine_cache/initrd.new"
  mv "$machine_cache/initrd.new" "$machine_cache/initrd.gz"
  rm -rf "$root"
}

# What the guest's own user space begins with: what it needs is mounted, then `serve` takes commands through the shared
# folder until the machine is turned off; as the first process, or started by systemd.
machine_write_guest_init() {
  local first=${1:-serve}
  cat >"$machine_folder/exchange/guest-init" <<INIT
# systemd leaves alone what is mounted already.
mount --rbind /run /run
mkdir -p /run/guest /lib/modules /dev/shm /dev/pts
mount -t tmpfs guest /run/guest
mount --bind '$machine_cache/kernel/lib/modules' /lib/modules
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/guest
b='$(command -v busybox)'
\$b ip link set lo up
\$b ip address add 10.0.2.15/24 dev eth0
\$b ip link set eth0 up
\$b modprobe af_packet 2>/dev/null
cp '$machine_cache/registry.bin' /run/guest/registry.bin 2>/dev/null
exec /bin/sh /run/exchange/guest-$first
INIT
  # Nothing of the host's own services: our unit, and what every unit needs.
  cat >"$machine_folder/exchange/guest-systemd" <<INIT
rm -rf /etc/systemd/system/*.wants /etc/fstab
# It would empty /tmp, which may hold the repository.
ln -sf /dev/null /etc/systemd/system/systemd-tmpfiles-setup.service
ln -sf /dev/null /etc/systemd/system/systemd-tmpfiles-clean.timer
printf '%s\n' '[Unit]' 'Requires=guest.service' 'After=guest.service' >/etc/systemd/system/guest.target
printf '%s\n' '[Service]' 'ExecStart=/bin/sh /run/exchange/guest-serve' >/etc/systemd/system/guest.service
exec /lib/systemd/systemd --unit=guest.target
INIT
  cat >"$machine_folder/exchange/guest-serve" <<INIT
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/guest
export GST_REGISTRY=/run/guest/registry.bin
modprobe() { $(command -v busybox) modprobe "\$@"; }
rmmod() { $(command -v busybox) rmmod "\$@"; }
cd '$repository'
x=/run/exchange
# Asked for when a command does not end: what every thread waits for.
(until [ -e \$x/stuck ]; do sleep 1; done
 for task in /proc/[0-9]*/task/*; do
   echo "\${task##*/} \$(cat \$task/comm): \$(cat \$task/wchan) \$(cat \$task/syscall)"
 done >\$x/log-stuck 2>&1) &
: >\$x/up
next=1
while [ ! -e \$x/off ]; do
  if [ -e \$x/command-\$next ]; then
    (. \$x/command-\$next) >\$x/output-\$next 2>&1 </dev/null
    echo \$? >\$x/status-\$next.new
    mv \$x/status-\$next.new \$x/status-\$next
    next=\$((next + 1))
  else
    sleep 0.1
  fi
done
$(command -v busybox) poweroff -f
INIT
}

machine_free_port() {
  local port
  for port in $(shuf -i 20000-29999 -n 50); do
    (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  machine_fail "no free port between 20000 and 29999"
}

machine_boot() {
  machine_need
  mkdir -p "$machine_cache"
  machine_cache=$(realpath "$machine_cache")
  # One at a time prepares the shared files.
  exec 9>"$machine_cache/lock"
  flock 9 2>/dev/null || true
  machine_fetch_kernel
  machine_make_initrd
  if [ ! -e "$machine_cache/registry.bin" ] && command -v gst-inspect-1.0 >/dev/null; then
    GST_REGISTRY=$machine_cache/registry.bin gst-inspect-1.0 >/dev/null 2>&1 || true
  fi
  exec 9>&-
  machine_folder=$(mktemp -d "$machine_cache/run.XXXXXX")
  mkdir "$machine_folder/exchange"
  machine_write_guest_init "$@"
  machine_port=${machine_fixed_port:-$(machine_free_port)}
  trap machine_leave EXIT
  trap 'exit 130' INT TERM
  local extra=() forwards="hostfwd=tcp:127.0.0.1:$machine_port-:8080" disk port
  for disk in ${machine_disks[@]+"${machine_disks[@]}"}; do
    # What the guest flushes is flushed at once, and nothing is kept back in between.
    extra+=(-drive "file=$disk,format=raw,if=virtio,cache=none,aio=threads")
  done
  for port in "${!machine_ports[@]}"; do
    forwards+=",hostfwd=tcp:127.0.0.1:${machine_ports[$port]}-:$port"
  done
  # The kernel tries its timer for a moment only; where the host is busy that tells nothing, so it is not asked to.
  qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 2048 -smp 2 -nodefaults -display none -no-reboot \
    -serial "file:$machine_folder/console" \
    -kernel "$(ls "$machine_cache"/kernel/boot/vmlinuz-*)" -initrd "$machine_cache/initrd.gz" \
    -append "console=ttyS0 quiet panic=-1 no_timer_check" \
    -fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
    -device virtio-9p-pci,fsdev=root,mount_tag=hostroot \
    -fsdev "local,id=exchange,path=$machine_folder/exchange,security_model=none" \
    -device virtio-9p-pci,fsdev=exchange,mount_tag=exchange \
    -netdev "user,id=net,restrict=on,$forwards" \
    -device virtio-net-pci,netdev=net,romfile= \
    ${extra[@]+"${extra[@]}"} \
    </dev/null >"$machine_folder/qemu" 2>&1 &
  machine_pid=$!
  local began
  began=$(date +%s)
  machine_wait "$machine_boot_seconds" test -e "$machine_folder/exchange/up" || machine_fail "the machine did not come up"
  machine_say "up after $(($(date +%s) - began)) s"
}

machine_url() { printf 'http://127.0.0.1:%s\n' "$machine_port"; }

guest() {
  local exchange=$machine_folder/exchange number=1
  # Counted by files, as a command may be given from a subshell.
  while [ -e "$exchange/command-$number" ]; do number=$((number + 1)); done
  printf '%s\n' "$*" >"$exchange/new-command"
  mv "$exchange/new-command" "$exchange/command-$number"
  if ! machine_wait "${GUEST_SECONDS:-120}" test -e "$exchange/status-$number"; then
    cat "$exchange/output-$number" 2>/dev/null
    : >"$exchange/stuck"
    machine_wait 10 test -s "$exchange/log-stuck" || machine_say "the machine itself hangs"
    sleep 1
    machine_say "no answer within ${GUEST_SECONDS:-120} s: $*"
    return 124
  fi
  cat "$exchange/output-$number"
  return "$(cat "$exchange/status-$number")"
}

machine_stop() {
  : >"$machine_folder/exchange/off"
  machine_wait 20 false || true
}

machine_kill() {
  kill -KILL "$machine_pid"
  # The shell would tell of it.
  wait "$machine_pid" 2>/dev/null || true
  machine_pid=
  rm -rf "$machine_folder"
}

# On exit, for whatever reason: nothing of this machine stays, and a failure shows its console.
machine_leave() {
  local status=$?
  trap - EXIT
  set +e
  if machine_is_running; then
    kill "$machine_pid" 2>/dev/null
    wait "$machine_pid" 2>/dev/null
  fi
  if [ "$status" -ne 0 ]; then
    machine_say "failed with $status; the machine's console and log follow"
    tail -n 60 "$machine_folder/console" "$machine_folder/qemu" >&2
    tail -n 100 "$machine_folder"/exchange/log-* >&2 2>/dev/null
  fi
  rm -rf "$machine_folder"
  ! declare -F machine_also_leave >/dev/null || machine_also_leave
  exit "$status"
}
