# shellcheck shell=bash
# Finds or brings a Rust toolchain that is new enough for Cargo.toml. Sourced, never run. Needs: $root, say.sh, apt.sh.

# The oldest compiler that Cargo.toml allows.
rust_required() { sed -n '/^rust-version/{s/.*"\([0-9.]*\)".*/\1/p;q}' "$root/Cargo.toml"; }

# version_at_least HAVE WANT
version_at_least() { printf '%s\n%s\n' "$2" "$1" | sort -V -C; }

# The version of a cargo, or nothing when it does not run (as rustup's does without a toolchain).
rust_version_of() { "$1" --version 2>/dev/null | sed -n 's/^cargo \([0-9.]*\).*/\1/p'; }

# rust_has DIR clippy|fmt
rust_has() { PATH="$1:$PATH" cargo "$2" --version >/dev/null 2>&1; }

# rust_suits CARGO [check] : is it new enough, with clippy and rustfmt where they are asked for?
rust_suits() {
  local dir
  dir=$(dirname "$1")
  rust_version=$(rust_version_of "$1")
  [[ -n $rust_version ]] && version_at_least "$rust_version" "$(rust_required)" || return 1
  [[ ${2:-} != check ]] || { rust_has "$dir" clippy && rust_has "$dir" fmt; }
}

# rust_stable_behind CARGO : is it rustup's, and is a stable toolchain there? (rustup fetches one that is named and is not.)
rust_stable_behind() {
  local rustup
  rustup=$(dirname "$1")/rustup
  [[ -x $rustup && $'\n'$("$rustup" toolchain list 2>/dev/null || true) == *$'\n'stable* ]]
}

# Puts a new enough cargo first in PATH: the one in PATH, rustup's, or one of Ubuntu's versioned ones. With `check`,
# clippy and rustfmt have to be there too. Fails when there is none.
rust_use() {
  local cargo
  for cargo in "$(command -v cargo || true)" "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" $(printf '%s\n' /usr/lib/rust-*/bin/cargo | sort -rV); do
    [[ -x $cargo ]] || continue
    if ! rust_suits "$cargo" "$@"; then
      # Stable wins over an older default of rustup's, which stays what it is.
      if ! rust_stable_behind "$cargo" || ! RUSTUP_TOOLCHAIN=stable rust_suits "$cargo" "$@"; then continue; fi
      export RUSTUP_TOOLCHAIN=stable
    fi
    [[ $(command -v cargo) == "$cargo" ]] || export PATH="${cargo%/*}:$PATH"
    return 0
  done
  return 1
}

# Prints "SUFFIX VERSION SUITE" of the distribution's Rust packages that are new enough: rustc, rustc-1.97, rustc-web.
rust_in_distribution() {
  local want suffix
  want=$(rust_required)
  {
    echo
    apt-cache pkgnames rustc-1. | sed -n 's/^rustc\(-1\.[0-9]*\)$/\1/p' | sort -rV
    echo -web
  } | while read -r suffix; do
    LC_ALL=C apt-cache madison "rustc$suffix" 2>/dev/null | awk -F' *[|] *' -v suffix="$suffix" '
      $3 ~ /Packages$/ { split($3, source, " "); sub("/.*", "", source[2]); print suffix "|" $2 "|" source[2] }' |
      while IFS='|' read -r suffix version suite; do
        if version_at_least "${version%%[+~-]*}" "$want"; then printf '%s|%s|%s\n' "$suffix" "$version" "$suite"; fi
      done
  done
}

# rust_from_distribution [check] : fails when no package of the distribution's is new enough.
rust_from_distribution() {
  local found suffix version suite package purposes=rust
  local -a packages=() from=()
  found=$(rust_in_distribution)
  [[ -n $found ]] || return 1
  IFS='|' read -r suffix version suite <<<"${found%%$'\n'*}"
  [[ ${1:-} != check ]] || purposes='rust rust-check'
  while IFS=$'\t' read -r _ package _; do packages+=("${package//%/$suffix}"); done < <(packages_for "$purposes")
  # Only backports need to be named: apt does not take them by itself.
  if [[ $(apt_candidate "rustc$suffix") != "$version" ]]; then from=(-t "$suite"); fi
  say "Rust: $suite offers $version, which is new enough (Perch needs $(rust_required)): installing ${packages[*]}"
  apt_install 'installing Rust' "${from[@]}" "${packages[@]}"
}

# rust_from_rustup [check] : the newest stable toolchain through a rustup that is here.
rust_from_rustup() {
  local rustup
  local -a components=()
  rustup=$(command -v rustup || true)
  [[ -n $rustup ]] || rustup="${CARGO_HOME:-$HOME/.cargo}/bin/rustup"
  [[ -x $rustup ]] || return 1
  [[ ${1:-} != check ]] || components=(--component clippy --component rustfmt)
  say 'Rust: rustup is here; asking it for the stable toolchain'
  say_step "$root/.cache/logs/rustup.log" 'installing the stable toolchain' \
    "$rustup" toolchain install stable --profile minimal --no-self-update "${components[@]}"
}

# rust_ensure [check] : the compiler that is here, else the distribution's, else its rustup, else the official installer.
rust_ensure() {
  local want installer
  local -a components=()
  want=$(rust_required)
  if rust_use "$@"; then
    return 0
  fi
  if command -v cargo >/dev/null; then
    say "Rust: the cargo here is $(cargo --version 2>/dev/null || echo 'without a toolchain'); Perch needs $want${1:+ with clippy and rustfmt}"
  else
    say "Rust: there is none; Perch needs $want"
  fi
  if rust_from_rustup "$@" && rust_use "$@"; then return 0; fi
  apt_update
  if rust_from_distribution "$@" && rust_use "$@"; then return 0; fi
  if apt_is_offered rustup; then
    say 'Rust: this system has rustup, which brings a new enough one'
    # Its package and those of a compiler that is here exclude each other: then the one that is here stays.
    if apt_install 'installing rustup' "$(packages_for rustup | cut -f 2)" && rust_from_rustup "$@" && rust_use "$@"; then return 0; fi
  fi
  say "Rust: nothing of this system brings one from $want on; taking the official one (rustup, into ${CARGO_HOME:-$HOME/.cargo}, no profile file is touched)"
  [[ ${1:-} != check ]] || components=(--component clippy --component rustfmt)
  installer=$root/.cache/rustup-init.sh
  mkdir -p "$root/.cache"
  curl --proto '=https' --tlsv1.2 -fsSL https://sh.rustup.rs -o "$installer" 2>/dev/null ||
    curl --proto '=https' --tlsv1.2 -fsSL https://static.rust-lang.org/rustup/rustup-init.sh -o "$installer" ||
    die "the Rust installer cannot be fetched; install Rust $want or newer (https://rustup.rs), then run this again"
  # -y answers its questions; a Rust that is too old in /usr/bin is no reason to stop.
  say_step "$root/.cache/logs/rustup.log" 'installing Rust' env RUSTUP_INIT_SKIP_PATH_CHECK=yes \
    sh "$installer" -y --no-modify-path --profile minimal --default-toolchain stable "${components[@]}" ||
    die "the Rust installer failed; install Rust $want or newer by hand, then run this again"
  rust_use "$@" || die "Rust was installed, but no cargo from $want on is found in ${CARGO_HOME:-$HOME/.cargo}/bin"
}
