#!/usr/bin/env bash
# The whole appliance on what vivid cannot be, inside the machine, seen from outside: USB cameras behind the kernel's own
# uvcvideo and snd-usb-audio (usb_camera plays the hardware) that give MJPG, their own H.264, raw pictures and sound, and
# a camera with multi-planar buffers. Perch finds them all by itself. PERCH_BIN and USB_CAMERA say where the binaries
# are (default: the debug build).
set -euo pipefail
# shellcheck source=tests/vm/machine.sh
. "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
# shellcheck source=tests/vm/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

perch=$(realpath "${PERCH_BIN:-$repository/target/debug/perch}")
usb_camera=$(realpath "${USB_CAMERA:-$repository/target/debug/examples/usb_camera}")
work=$(mktemp -d)
for tool in curl ffmpeg ffprobe; do
  command -v "$tool" >/dev/null || machine_fail "missing: $tool"
done

# What the cameras see: four seconds of a moving picture at 10 a second, which begin again and again. It is white while
# the tone is loud, the first half second of every two.
# FILE CODEC_OPTIONS...
film() {
  local file=$1 scene="testsrc2=size=160x90:rate=10,drawbox=c=white:t=fill:enable='lt(mod(n,20),5)'"
  shift
  ffmpeg -v error -y -f lavfi -i "$scene" -frames:v 40 "$@" "$machine_folder/exchange/$file"
}
film_h264() {
  film "$1" -c:v libx264 -preset veryfast -profile:v main -bf 0 -pix_fmt yuv420p -f h264 \
    -x264-params "aud=1:repeat-headers=1:keyint=$2:min-keyint=$2:scenecut=0"
}

# PORT NAME SOUND FORMAT...: plugs a camera in that has these formats; of each there is a film of that name.
plug() {
  local port=$1 name=$2 sound=$3 modes=
  shift 3
  for film in "$@"; do modes="$modes ${film%%-*}:160x90@10:/run/exchange/$film"; done
  # Hardware is not kept waiting by programs.
  guest "chrt -f 50 '$usb_camera' $port $name $sound $modes >>/run/exchange/log-$name 2>&1 & echo \$! >/run/guest/$name.pid"
}
unplug() { guest "kill -KILL \$(cat /run/guest/$1.pid)"; }

gives() { camera "$1" | grep -q "\"format\":\"$2\""; }
is_silent() { camera "$1" | grep -q '"sound":false'; }
has_sound() { camera "$1" | grep -q '"sound":true'; }
# The encoder of its top rung, which stands last.
encoder() { camera "$1" | grep -o '"encoder":"[^"]*"' | tail -n 1 | cut -d '"' -f 4; }
has_encoder() { [ "$(encoder "$1")" = "$2" ]; }
logged() { grep -q "$1" "$machine_folder/exchange/log-perch"; }

# CAMERA SECONDS [ADDRESS [SECONDS_MIN]]: copies that much of its best quality to a file and decodes it. Every picture must
# be sound and of the right size, and about all of them there, or as many as SECONDS_MIN hold.
plays() {
  local file=$work/$1.mp4 facts
  rm -f "$file"
  timeout 90 ffmpeg -v error -y -i "$url${3:-/live/$1/master.m3u8}" -c copy -t "$2" "$file" || return 1
  timeout 60 ffmpeg -v error -xerror -i "$file" -f null - || return 1
  facts=$(ffprobe -v error -select_streams v -count_packets -show_entries stream=codec_name,width,height,nb_read_packets -of csv=p=0 "$file")
  echo "     $facts"
  [[ $facts == h264,160,90,* ]] && [ "${facts##*,}" -ge $((${4:-$2} * 10 - 10)) ]
}

# CAMERA [ADDRESS]...: eight seconds of it have the microphone's tone, loud when the picture is white, and nothing beside
# it. A host that is busy stops the whole machine now and then, microphone and all: the sound is right if one of four
# tries is, or of the addresses, which are then of four stretches. Where the machine never hears all of it, nothing but
# the tone is asked for, and that is said.
sounds() {
  local camera=$1 address heard best=0 toned='' try=0
  shift
  [ $# -gt 0 ] || set -- {,,,}"/live/$camera/master.m3u8"
  for address; do
    try=$((try + 1))
    plays "$camera" 8 "$address" 6 || continue
    # Frames of AAC are 1024 samples, 375 in eight seconds.
    heard=$(ffprobe -v error -select_streams a -count_packets -show_entries stream=nb_read_packets -of csv=p=0 "$work/$camera.mp4")
    [ "${heard:-0}" -le "$best" ] || best=$heard
    if [ "${heard:-0}" -ge 350 ]; then
      is_in_time "$work/$camera.mp4" "try $try" && return
    elif [ "${heard:-0}" -gt 0 ]; then
      is_a_tone "$work/$camera.mp4" && toned=1
    fi
  done
  echo "     at most $best of 375 frames of sound, $([ -n "$toned" ] && echo "with the tone" || echo "without the tone")"
  [ "$best" -lt 350 ] && [ -n "$toned" ] || return 1
  echo "     not measured against the picture: the machine was too slow"
}
# CAMERA FROM TO: addresses of up to four stretches of what was recorded between two moments, in seconds since 1970, the
# last first.
stretches() {
  local to=$3 rfc3339=+%Y-%m-%dT%H:%M:%SZ tries
  for tries in 1 2 3 4; do
    [ "$tries" -eq 1 ] || [ $((to - 12)) -ge "$2" ] || return 0
    echo "/recordings/$1/master.m3u8?from=$(date -u -d "@$((to - 12))" $rfc3339)&to=$(date -u -d "@$to" $rfc3339)"
    to=$((to - 6))
  done
}
volume() { ffmpeg -v info -i "$1" -vn -af "$2,volumedetect" -f null - 2>&1 | sed -n 's/.*mean_volume: -\([0-9]*\).*/\1/p'; }
is_a_tone() {
  [ "$(volume "$1" bandpass=f=1000:width_type=h:w=200)" -lt "$(volume "$1" bandreject=f=1000:width_type=h:w=500)" ]
}
is_in_time() {
  local noise
  noise=$(ffmpeg -v info -i "$1" -vn -af 'bandreject=f=1000:width_type=h:w=500,volumedetect' -f null - 2>&1 |
    sed -n 's/.*mean_volume: \(.*\) dB/\1/p')
  ffmpeg -v info -i "$1" -map 0:v -map 0:a -vf 'negate,blackdetect=d=0.2:pic_th=0.9:pix_th=0.2' \
    -af 'silencedetect=n=-20dB:d=0.4' -f null - 2>&1 |
    grep -o 'black_start:[0-9.]*\|silence_end: [0-9.]*' | tr -s ': ' '  ' | awk -v noise="$noise" -v try="$2" '
      # What began before the file did does not tell when.
      $1 == "black_start" && $2 > 0.3 { white[++whites] = $2 }
      $1 == "silence_end" { loud[++louds] = $2 }
      END {
        for (w = 1; w <= whites; w++) {
          near = 99
          for (l = 1; l <= louds; l++) { d = loud[l] - white[w]; if (d * d < near * near) near = d }
          late = late sprintf(" %.0f", near * 1000)
          good += near * near < 0.12 * 0.12
        }
        printf "     %s: loud%s ms after white; %s dB beside the tone\n", try, late, noise
        exit !(whites >= 3 && good == whites && noise < -40)
      }'
}

# CAMERA FILM: every picture of what was copied is one of the film, to the last bit.
is_untouched() {
  pictures() { ffmpeg -v error -i "$1" -map 0:v -f framemd5 - | sed -n 's/.*, *//; /^[0-9a-f]\{32\}$/p' | sort -u; }
  local foreign
  foreign=$(comm -23 <(pictures "$work/$1.mp4") <(pictures "$machine_folder/exchange/$2"))
  [ -z "$foreign" ] || { echo "$foreign" | wc -l; return 1; }
  echo "     $(pictures "$work/$1.mp4" | wc -l) different pictures"
}

# One camera after another, as the machine is slow: the way there is what is tried, not how many go it.
machine_boot
url=$(machine_url)
film MJPG -c:v mjpeg -pix_fmt yuvj420p -q:v 4 -f mjpeg
film NV12 -pix_fmt nv12 -f rawvideo
film YUY2 -pix_fmt yuyv422 -f rawvideo
film_h264 H264 20
film_h264 H264-rare 30
cat >"$machine_folder/exchange/perch.toml" <<TOML
[server]
listen = "0.0.0.0:8080"
[ladder]
frame_rate = 10
[[ladder.rungs]]
name = "low"
width = 160
height = 90
TOML
guest cp /run/exchange/perch.toml /run/guest/perch.toml
guest 'for module in vhci-hcd uvcvideo snd-usb-audio; do modprobe $module; done'
start_perch
expect 'it starts without a camera' within 120 answers /healthz

plug 0 webcam 32000 MJPG
expect 'a camera that gives MJPG is found and live' within 120 is webcam live
expect 'in MJPG' gives webcam MJPG
expect 'with the sound of its own microphone' has_sound webcam
expect 'it can be watched' within 60 plays webcam 8
expect 'and heard, in time with the picture' sounds webcam
expect 'a still can be had' answers /api/v1/cameras/webcam/still.jpg
expect 'it has no gap' has_gaps webcam 0
expect 'and is copied nowhere' within 60 copies_nothing webcam

unplug webcam
expect 'unplugged, it is said to be away' within 60 is webcam vanished
plug 0 webcam 32000 NV12
plugged=$(date +%s%3N)
expect 'plugged in again, it is live' within 60 is webcam live
echo "     live $(($(date +%s%3N) - plugged)) ms after it was plugged in"
expect 'now with raw pictures' gives webcam NV12
expect 'and with sound' has_sound webcam
sounds_from=$(date +%s)
expect 'its gap is closed' within 60 has_gaps_closed webcam 1
expect 'NV12 can be watched' within 60 plays webcam 8
# Of what was recorded, this is the part that was seen to be whole: the live view begins six seconds back.
from=$(date -u -d '-14 seconds' +%Y-%m-%dT%H:%M:%SZ) to=$(date -u +%Y-%m-%dT%H:%M:%SZ)
expect 'and heard, in time with the picture' sounds webcam
expect 'it is copied nowhere' within 60 copies_nothing webcam
sounds_to=$(date +%s)

guest 'echo 1-1:1.2 >/sys/bus/usb/drivers/snd-usb-audio/unbind'
expect 'a microphone that goes leaves a camera without sound' within 60 is_silent webcam
expect 'that is live' within 60 is webcam live
expect 'it can be watched' within 60 plays webcam 4

unplug webcam
expect 'unplugged, it is said to be away' within 60 is webcam vanished
plug 0 webcam 48000 YUY2
expect 'a camera that gives YUYV is live' within 60 is webcam live
expect 'with sound again' has_sound webcam
expect 'YUYV can be watched' within 60 plays webcam 4
expect 'and heard' sounds webcam
unplug webcam
expect 'unplugged, it is said to be away' within 60 is webcam vanished

plug 1 coded mute H264 MJPG
expect 'a camera that gives H.264 is live' within 60 is coded live
expect 'in H.264' gives coded H264
expect 'which is passed on as it comes' has_encoder coded camera
expect 'it can be watched' within 60 plays coded 6
expect 'and was not encoded again' is_untouched coded H264
expect 'a still can be had' answers /api/v1/cameras/coded/still.jpg
expect 'it is copied nowhere' within 60 copies_nothing coded
unplug coded
expect 'unplugged, it is said to be away' within 60 is coded vanished
plug 1 coded mute H264-rare MJPG
expect 'one whose keyframes do not fit gives MJPG instead' within 60 gives coded MJPG
expect 'as is said' logged 'no keyframe where a segment'
expect 'it is live' within 60 is coded live
expect 'and can be watched' within 60 plays coded 4
unplug coded
expect 'unplugged, it is said to be away' within 60 is coded vanished

guest modprobe vivid n_devs=1 node_types=0x1 multiplanar=2
expect 'a camera with multi-planar buffers is live' within 60 is vivid live
expect 'it can be watched' within 60 plays vivid 4
expect 'a still can be had' answers /api/v1/cameras/vivid/still.jpg
guest 'echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind'
expect 'unplugged, it is said to be away' within 60 is vivid vanished
guest 'echo vivid.0 >/sys/bus/platform/drivers/vivid/bind'
expect 'plugged in again, it is live' within 60 is vivid live

expect 'what the first has recorded can be played' plays webcam 8 "/recordings/webcam/master.m3u8?from=$from&to=$to" 6
mapfile -t addresses <<<"$(stretches webcam "$sounds_from" "$sounds_to")"
expect 'and heard' sounds webcam "${addresses[@]}"
expect 'no panic was logged' bash -c "! grep -i panick '$machine_folder/exchange/log-perch'"

rm -rf "$work"
echo "$failures failures"
[ -z "${KEEP_LOG:-}" ] || cp "$machine_folder"/exchange/log-* "$KEEP_LOG"
[ "$failures" -eq 0 ] || exit 1
signal_perch TERM
machine_stop
