# shellcheck shell=bash
# Everything the scripts share, and where the repository is. Sourced by each of them, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=scripts/lib/say.sh
. "$root/scripts/lib/say.sh"
# shellcheck source=scripts/lib/apt.sh
. "$root/scripts/lib/apt.sh"
# shellcheck source=scripts/lib/rust.sh
. "$root/scripts/lib/rust.sh"
# shellcheck source=scripts/lib/node.sh
. "$root/scripts/lib/node.sh"
# shellcheck source=scripts/lib/browser.sh
. "$root/scripts/lib/browser.sh"
# shellcheck source=scripts/lib/server.sh
. "$root/scripts/lib/server.sh"
# Tools that an earlier run brought are found without asking again.
rust_use || true
node_use || true
browser_use || true
