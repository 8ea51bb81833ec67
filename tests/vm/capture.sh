# shellcheck shell=dash disable=SC2016
# Runs inside the machine (tests/vm/run tests/vm/capture.sh): perch::capture against the kernel's virtual video driver,
# with each failure that vivid can inject. The first argument is the probe, which `cargo build --example capture_probe`
# makes.
capture=${1:-target/debug/examples/capture_probe}
failures=0
log=/run/guest/log

# WHAT COMMAND...: the command must succeed.
expect() {
  what=$1
  shift
  if "$@"; then
    echo "ok   $what"
  else
    echo "FAIL $what: $*"
    cat $log
    failures=$((failures + 1))
  fi
}
logged() { grep -q "$1" $log; }
counted() { logged "[{ ]$1: $2[, ]"; }
counted_some() { logged "[{ ]$1: [1-9]"; }
# Waits until the log says PATTERN, up to 20 s.
until_logged() {
  for _ in $(seq 200); do
    if logged "$1"; then return 0; fi
    sleep 0.1
  done
  return 1
}
finished() {
  wait "$run"
  [ $? -eq "$1" ]
}
inject() { v4l2-ctl -d "$1" -c "$2" >/dev/null; }
start() {
  "$capture" run "$@" >$log 2>&1 &
  run=$!
  until_logged '^format\|^refused'
}

# Capture, output, vbi and radio nodes, and the metadata nodes of newer cameras: two cameras among them.
modprobe vivid n_devs=2 node_types=0x61d1d,0x61d1d
sleep 1
"$capture" list >$log 2>&1
expect "twins are two cameras, and nothing else is one" [ "$(grep -c 'port platform:vivid' $log)" -eq 2 ]
expect "twins have names of their own" [ "$(grep -c '^vivid\(-....\)\? (vivid, /dev/video' $log)" -eq 2 ]
cp $log /run/guest/first
"$capture" list >$log 2>&1
expect "names stay from one start to the next" cmp $log /run/guest/first
# Of its larger sizes vivid gives a fluent rate on newer kernels only: 6.8 does, 6.1 does not.
best='640x480 I420 25'
if logged 'mode 1920x1080 I420 .*/30'; then best='1920x1080 I420 30'; fi
expect "a mode is chosen" logged "best $best"
one=$(sed -n 's/^vivid (vivid, \(.*\))/\1/p' $log)
other=$(sed -n 's/^vivid-.... (vivid, \(.*\))/\1/p' $log)

# What the driver itself says of a run, whatever the host's load did to it: the pictures that it skipped among the first
# COUNT that were taken from it, and how often it had no buffer left to fill while the run went on.
trace=/sys/kernel/tracing
mount -t tracefs tracefs $trace 2>/dev/null
# Clocks of processors differ, and would put events into another order.
echo counter >$trace/trace_clock
for event in vb2/vb2_buf_done v4l2/v4l2_dqbuf; do echo 1 >$trace/events/$event/enable; done
driver_skipped() {
  awk -v count="$1" '/v4l2_dqbuf:/ && taken < count {
    match($0, /sequence = [0-9]+/)
    sequence = substr($0, RSTART + 11, RLENGTH - 11)
    # The counter has 32 bits. vivid gives a number twice where its timer is early, as on a host that is busy.
    step = taken++ ? (sequence - last + 4294967296) % 4294967296 : 1
    if (step > 1 && step < 2147483648) skipped += step - 1
    last = sequence
  }
  END { print (taken == count) ? skipped + 0 : "unknown, as it gave " taken + 0 " only" }' $trace/trace
}
driver_starved() {
  awk '/vb2_buf_done:/ { empty = /owned_by_drv = 0,/ }
  /v4l2_dqbuf:/ { starved += empty; empty = 0 }
  END { print starved + 0 }' $trace/trace
}
driver_wrapped() { grep -q 'v4l2_dqbuf:.* sequence = 42949' $trace/trace && grep -q 'v4l2_dqbuf:.* sequence = [0-9]\{1,2\}\(,\|$\)' $trace/trace; }

# The emulated driver comes late where the host is busy, and skips pictures. What counts is that we tell of as many as
# it skipped, and that it always had a buffer of ours; where the machine ran the driver and not us, once in five.
lossless() {
  for _ in 1 2 3 4 5; do
    : >$trace/trace
    "$capture" run "$@" >$log 2>&1 || return
    taken=$(sed -n 's/^CaptureReport { frames: \([0-9]*\),.*/\1/p' $log)
    skipped=$(driver_skipped "$taken")
    starved=$(driver_starved)
    echo "driver skipped $skipped of $taken, starved $starved" >>$log
    counted lost "$skipped" || return
    if [ "$starved" -eq 0 ]; then return 0; fi
  done
  return 1
}

for format in YUYV NV12 I420; do
  expect "60 frames of $format, none lost" lossless "$one" $format 640x360 30 60 4
  expect "  at the rate asked for" logged "640x360 $format 30"
  expect "  none copied" counted copied 0
  expect "  the driver's own time" counted restamped 0
  expect "  what is held does not keep the camera" logged 'opened again while frames are held'
  expect "  and can be read after the end" logged 'held 3 frames, [1-9]'
done

expect "a consumer that holds too much costs the driver nothing" lossless "$one" YUYV 640x360 30 60 20
expect "  but copies" counted_some copied

inject "$one" wrap_sequence_number=1
expect "a sequence that starts over is no loss" lossless "$one" NV12 320x180 50 160
expect "  it did" driver_wrapped
inject "$one" wrap_sequence_number=0

start "$one" YUYV 640x360 30 120
inject "$one" percentage_of_dropped_buffers=30
expect "a run with dropped buffers goes on" finished 0
expect "  they are counted" counted_some lost
inject "$one" percentage_of_dropped_buffers=0

# Each is waited for: two at once would damage one picture.
until_damaged() {
  for _ in $(seq 100); do
    [ "$(grep -c 'v4l2_dqbuf:.* flags = [^,]*ERROR' $trace/trace)" -lt "$1" ] || return 0
    sleep 0.1
  done
}
: >$trace/trace
start "$one" YUYV 640x360 30 240
for count in 1 2 3; do
  inject "$one" inject_v4l2_buf_flag_error=1
  until_damaged $count
done
expect "a run with damaged pictures goes on" finished 0
expect "  all three are counted" counted damaged 3

start "$one" YUYV 640x360 30 100000
inject "$one" percentage_of_dropped_buffers=100
expect "a camera that hangs ends the run" finished 3
expect "  with a reason" logged 'ended no frame for 5.0 s'
inject "$one" percentage_of_dropped_buffers=0

inject "$one" inject_vidioc_reqbufs_error=1
"$capture" run "$one" YUYV 640x360 30 10 >$log 2>&1
expect "a driver without buffers is refused" [ $? -eq 4 ]
expect "  with a reason" logged "refused $one: the driver refused to provide buffers"
inject "$one" inject_vidioc_qbuf_error=1
"$capture" run "$one" YUYV 640x360 30 10 >$log 2>&1
expect "a buffer that is not taken is refused" [ $? -eq 4 ]
inject "$one" inject_vidioc_streamon_error=1
"$capture" run "$one" YUYV 640x360 30 10 >$log 2>&1
expect "a stream that does not start is refused" [ $? -eq 4 ]
expect "  with a reason" logged "refused $one: the driver refused to start streaming"
"$capture" run "$one" YUYV 640x360 30 10 >$log 2>&1
expect "  and starts the next time" [ $? -eq 0 ]

start "$one" YUYV 640x360 30 100000
"$capture" run "$one" YUYV 640x360 30 10 >/run/guest/second 2>&1
expect "a second user is refused" [ $? -eq 4 ]
expect "  as the camera is busy" grep -q "refused $one: in use by another program" /run/guest/second
inject "$one" inject_fatal_streaming_error=1
expect "a driver that gives up ends the run" finished 3
expect "  with a reason" logged 'ended the driver failed'

"$capture" run "$other" YUYV 640x360 15 120 >/run/guest/undisturbed 2>&1 &
neighbour=$!
start "$one" YUYV 640x360 30 100000
inject "$one" disconnect=1
expect "a disconnected camera ends the run" finished 3
expect "  as unplugged" logged 'ended the camera was unplugged'
expect "  with all buffers given back or let go" logged 'held 0 frames'
"$capture" run "$one" YUYV 640x360 30 10 >$log 2>&1
expect "  and can be used again once it is back" [ $? -eq 0 ]
wait $neighbour
expect "the camera beside it did not end" [ $? -eq 0 ]
sed -n 's/^CaptureReport/    /p' /run/guest/undisturbed

"$capture" controls "$one" brightness=100 menu='menu item 4' gain_automatic=off >$log 2>&1
expect "controls are set by name" [ $? -eq 0 ]
expect "  numbers" logged '^brightness Some(100)'
expect "  menus by label" logged '^menu Some(4)'
expect "  switches" logged '^gain_automatic Some(0)'
"$capture" controls "$one" brightness=256 zoom=1 read_only_integer_32_bits=1 menu=2 >$log 2>&1
expect "controls that do not fit are refused" [ $? -eq 1 ]
expect "  with the range" logged '`brightness`: 256 does not fit; use 0 to 255'
expect "  with the names" logged '`zoom`: the camera has none of that name; it has brightness'
expect "  read-only ones too" logged '`read_only_integer_32_bits`: read-only'
expect "  and holes in menus" logged '`menu`: 2 does not fit; use one of Menu Item 1'

"$capture" watch 12 >$log 2>&1 &
watcher=$!
until_logged 'appeared vivid-'
rmmod vivid
removed=$(date +%s%3N)
expect "cameras that are unplugged vanish" until_logged 'vanished vivid-'
expect "  both" logged 'vanished vivid$'
echo "     seen $(($(date +%s%3N) - removed)) ms after the module was gone"
"$capture" run "$one" YUYV 640x360 30 10 >/run/guest/second 2>&1
expect "a camera that is gone is refused" grep -q 'no such device' /run/guest/second
modprobe vivid n_devs=2 node_types=0x61d1d,0x61d1d
for _ in $(seq 100); do [ "$(grep -c appeared $log)" -eq 4 ] && break; sleep 0.1; done
expect "cameras that are plugged in again appear" [ "$(grep -c 'appeared vivid$' $log)" -eq 2 ]
wait $watcher
expect "  once each, under the same names" [ "$(sed 's/^[0-9]* //' $log | sort | uniq -c | grep -c '^ *2 appeared')" -eq 2 ]

start "$one" NV12 640x360 30 100000
echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind
expect "a camera unplugged while it streams ends the run" finished 3
expect "  as unplugged" logged 'ended the camera was unplugged'
echo vivid.0 >/sys/bus/platform/drivers/vivid/bind
sleep 1
"$capture" run "$one" NV12 640x360 30 10 >$log 2>&1
expect "  and can be used again once it is plugged in" [ $? -eq 0 ]

"$capture" run /dev/null YUYV 640x360 30 1 >$log 2>&1
expect "what is no camera is refused" logged 'refused /dev/null: not a video device'
"$capture" run "$one" MJPG 640x360 30 1 >$log 2>&1
expect "a format that is not offered is refused" logged 'no usable mode'
for node in /dev/video*; do
  case $node in "$one" | "$other") continue ;; esac
  "$capture" run "$node" YUYV 640x360 30 1 >$log 2>&1
  expect "$node is no camera" logged "refused $node: .*perch devices"
done

rmmod vivid
modprobe vivid n_devs=1 node_types=0x1 multiplanar=2
sleep 1
"$capture" list >$log 2>&1
expect "a multi-planar camera is listed" logged 'port platform:vivid-000'
expect "  with its modes" logged 'mode 640x360 NV12 1/2/4'
"$capture" run "$one" NV12 640x360 30 1 >$log 2>&1
expect "  but not streamed from here" logged 'no usable mode among multi-planar formats'

echo "$failures failures"
[ $failures -eq 0 ]
