#!/usr/bin/env bash
# Fits a folder of photos on this machine, over and over until all is done. Copy this file and change what is marked (*):
#
#   nohup bash fit_local.sh [options of smplifyx fit] >fit.log 2>&1 &
#
# A run that is killed, by a lack of memory for example, is started again and goes on where it was. Ctrl-C ends it.
set -uo pipefail

IMAGES=${IMAGES:-$HOME/photos}      # (*)
KEYPOINTS=${KEYPOINTS-}             # (*) empty: people are detected in the photos
OUTPUT=${OUTPUT:-$HOME/output}      # (*)
WORKERS=${WORKERS:-auto}            # (*) processes; auto: as many as free cores and memory allow
SMPLIFYX=${SMPLIFYX:-smplifyx}      # (*) the program
MAX_RESTARTS=${MAX_RESTARTS:-20}

options=(--images "$IMAGES" --output "$OUTPUT" --workers "$WORKERS")
[ -z "$KEYPOINTS" ] || options+=(--keypoints "$KEYPOINTS")

for restart in $(seq 0 "$MAX_RESTARTS"); do
    [ "$restart" -eq 0 ] || echo "smplifyx ended with status $status; restart $restart" >&2
    status=0
    "$SMPLIFYX" fit "${options[@]}" "$@" || status=$?
    case $status in
    75 | 134 | 137 | 139) ;;        # stopped by a scheduler, aborted, killed, crashed: again
    *) break ;;                     # done, some inputs failed, the call is wrong, interrupted
    esac
done
"$SMPLIFYX" status "$OUTPUT" || true
exit "$status"
