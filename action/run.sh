#!/usr/bin/env bash
# Judges INPUT_SUBJECTS and hands the outputs to GitHub.  It succeeds whatever the verdict is, so that the
# findings and the report are uploaded; verdict.sh fails the job.
set -euo pipefail
name="${INPUT_NAME:-headcheck}"
name="${name//[^A-Za-z0-9._-]/-}"
folder="${RUNNER_TEMP:-.}/headcheck-$name"
mkdir -p "$folder"

arguments=(--profile "${INPUT_PROFILE:-standard}")
baseline="${INPUT_BASELINE:-}"
[[ -z "$baseline" && -e headcheck-baseline.toml ]] && baseline=headcheck-baseline.toml
[[ -n "$baseline" ]] && arguments+=(--baseline "$baseline")
[[ "${INPUT_STRICT:-false}" == true ]] && arguments+=(--strict)
arguments+=(
  --json "$folder/$name-results.json"
  --html "$folder/$name-report.html"
  --output "sarif=$folder/$name.sarif"
  --output "github=$folder/annotations.txt"
  --output "summary=$folder/summary.md"
)
subjects=()
while read -r subject || [[ -n "$subject" ]]; do
  [[ -n "$subject" ]] && subjects+=("$subject")
done <<<"${INPUT_SUBJECTS:-}"
if [[ ${#subjects[@]} == 0 ]]; then
  echo "::error title=headcheck::No subjects given. Expected path/to/file.py:Name in the input 'subjects'."
  echo "status=4" >>"${GITHUB_OUTPUT:-/dev/null}"
  exit 0
fi

# What an implementation prints must not be read as a workflow command: only this token ends the silence.
token="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
echo "::stop-commands::$token"
status=0
headcheck run "${arguments[@]}" -- "${subjects[@]}" 2>&1 || status=$?
echo "::$token::"

[[ -f "$folder/annotations.txt" ]] && cat "$folder/annotations.txt"
[[ -f "$folder/summary.md" ]] && cat "$folder/summary.md" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
{
  echo "status=$status"
  [[ -f "$folder/$name-results.json" ]] && echo "results=$folder/$name-results.json"
  [[ -f "$folder/$name-report.html" ]] && echo "report=$folder/$name-report.html"
  [[ -f "$folder/$name.sarif" ]] && echo "sarif=$folder/$name.sarif"
} >>"${GITHUB_OUTPUT:-/dev/null}" || true
