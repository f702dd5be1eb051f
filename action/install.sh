#!/usr/bin/env bash
# Installs headcheck as it stands beside this script, with the frameworks of INPUT_EXTRAS.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python -m pip install "$root${INPUT_EXTRAS:+[$INPUT_EXTRAS]}"
