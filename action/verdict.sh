#!/usr/bin/env bash
# Ends the job with headcheck's own exit status, in words.
set -euo pipefail
case "${INPUT_STATUS:-}" in
  0) echo "headcheck: no new failure"; exit 0 ;;
  1) echo "headcheck: not conformant, or the known failures need attention" ;;
  2) echo "headcheck: interrupted" ;;
  3) echo "headcheck: an error of its own" ;;
  4) echo "headcheck: a subject, an option or a file cannot be used" ;;
  5) echo "headcheck: nothing was judged" ;;
  *) echo "headcheck: it was not run to its end"; exit 3 ;;
esac
exit "$INPUT_STATUS"
