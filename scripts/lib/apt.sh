# shellcheck shell=bash
# Reads scripts/packages, finds what this system lacks, installs it with apt as the system is set up. Sourced, never run.
# Needs: $root, say.sh, rust.sh (version_at_least).

# The oldest that has all that the bindings are asked for in Cargo.toml (v1_22).
gstreamer_required=1.22

# Rows of the list for the given purposes: purpose, package, command, why, separated by tabs.
packages_for() {
  awk -v wanted=" $* " '
    /^[[:space:]]*(#|$)/ { next }
    index(wanted, " " $1 " ") {
      why = $4; for (i = 5; i <= NF; i++) why = why " " $i
      if (!seen[$2]++) printf "%s\t%s\t%s\t%s\n", $1, $2, $3, why
    }' "$root/scripts/packages"
}

# The purposes that the list knows.
packages_purposes() { awk '!/^[[:space:]]*(#|$)/ && !seen[$1]++ { print $1 }' "$root/scripts/packages"; }

# A list for people, by purpose.
packages_print() {
  local purpose package command why before=''
  while IFS=$'\t' read -r purpose package command why; do
    [[ $purpose == "$before" ]] || printf '\n%s\n' "$purpose"
    before=$purpose
    if [[ $command == - ]]; then printf '  %-34s %s\n' "${package//%/}" "$why"; else printf '  %-34s %s (the command %s)\n' "${package//%/}" "$why" "$command"; fi
  done < <(packages_for "$@")
}

# Is this a system whose packages the list names?
apt_is_known() {
  command -v apt-get >/dev/null && command -v dpkg-query >/dev/null && [[ -r /etc/os-release ]] || return 1
  # shellcheck disable=SC1091
  (. /etc/os-release && [[ " ${ID:-} ${ID_LIKE:-} " =~ \ (debian|ubuntu|raspbian)\  ]])
}

# The GStreamer that its sources offer; nothing where they offer none, or the package lists are not there yet.
apt_gstreamer() {
  local offered
  offered=$(apt_candidate "$(packages_for build | cut -f 2 | grep -m 1 '^libgstreamer[0-9.]*-dev$')")
  [[ $offered != [0-9]* ]] || echo "${offered%%-*}"
}

apt_is_installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null || true) == installed ]]; }

# Does any configured source offer this package itself (and not merely know its name)?
apt_is_offered() { [[ $(apt_candidate "$1") == [!\(]* ]]; }

# The version that apt would install, `(none)` or nothing. apt answers in the user's language.
apt_candidate() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p'; }

# apt_as_root COMMAND… : through sudo when we are not root.
apt_as_root() {
  if ((EUID == 0)); then
    env DEBIAN_FRONTEND=noninteractive "$@"
  elif command -v sudo >/dev/null; then
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  else
    say_error "this needs root, and there is no sudo; as root, run: $*"
    return 1
  fi
}

# Asks for the password, where one is needed, before a step whose output goes into a log. `sudo -v` alone asks even
# those who need none for any command, if one of their rules (as that of the group sudo) is without NOPASSWD.
apt_authorise() { ((EUID == 0)) || ! command -v sudo >/dev/null || sudo -n true 2>/dev/null || sudo -v; }

# Fetches the package lists, once a run.
apt_update() {
  [[ -z ${apt_updated:-} ]] || return 0
  apt_authorise || true
  say_step "$root/.cache/logs/apt-update.log" 'fetching the package lists' apt_as_root apt-get -q update ||
    say 'going on with the package lists that are here'
  apt_updated=1
}

# apt_install TITLE PACKAGE… ; options of apt-get may stand among the packages. Fails rather than remove what is there.
apt_install() {
  local title=$1
  shift
  apt_authorise || return 1
  say_step "$root/.cache/logs/apt-install.log" "$title" \
    apt_as_root apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends --no-remove "$@"
}

# Installs what is missing for the purposes, after saying what and why. Nothing happens when nothing is missing.
apt_ensure() {
  local purpose package command why alternative chosen gstreamer
  local -a missing=() install=()
  while IFS=$'\t' read -r purpose package command why; do
    if [[ $command != - ]] && PATH="$PATH:/usr/sbin:/sbin" command -v "$command" >/dev/null; then continue; fi
    chosen=''
    for alternative in ${package//|/ }; do
      if apt_is_installed "$alternative"; then chosen=$alternative; fi
    done
    [[ -n $chosen ]] || missing+=("$purpose"$'\t'"$package"$'\t'"$why")
  done < <(packages_for "$@")
  ((${#missing[@]} > 0)) || return 0

  say "missing here: ${#missing[@]} packages"
  printf '%s\n' "${missing[@]}" | while IFS=$'\t' read -r purpose package why; do
    printf '  %-8s %-34s %s\n' "$purpose" "$package" "$why"
  done
  apt_update
  if [[ " $* " == *' build '* ]]; then
    gstreamer=$(apt_gstreamer)
    [[ -z $gstreamer ]] || version_at_least "$gstreamer" "$gstreamer_required" ||
      die "this system has GStreamer $gstreamer, and Perch needs $gstreamer_required or newer: take Debian 12, Ubuntu 24.04 or newer; nothing was installed"
  fi
  while IFS=$'\t' read -r purpose package why; do
    chosen=''
    for alternative in ${package//|/ }; do
      if [[ -z $chosen ]] && apt_is_offered "$alternative"; then chosen=$alternative; fi
    done
    [[ -n $chosen ]] || die "no source of this system offers $package ($why); add one to the apt sources, or install it by hand"
    install+=("$chosen")
  done < <(printf '%s\n' "${missing[@]}")
  apt_install "installing ${#install[@]} packages" "${install[@]}" || die 'apt-get could not install them; its output is above'
}
