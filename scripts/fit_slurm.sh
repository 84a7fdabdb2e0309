#!/usr/bin/env bash
# Fits a folder of photos with an array of Slurm jobs. Copy this file, change what is marked (*), and hand it in:
#
#   sbatch fit_slurm.sh [options of smplifyx fit]
#
# The tasks share one output folder. Each fits its own part of the photos; one that is out of time or memory, or crashes,
# is put back into the queue and goes on where it was. Afterwards `smplifyx status OUTPUT` says what is done and how to
# finish the rest, for example with `sbatch --array=3,7 fit_slurm.sh`.
#
#SBATCH --job-name=smplifyx
#SBATCH --array=0-15            # (*) one task for each shard
#SBATCH --cpus-per-task=8       # (*) as many workers
#SBATCH --mem=10G               # (*) 1 GB a worker, and 2 GB
#SBATCH --time=04:00:00         # (*) rather short: a task whose time is over goes on in the next one
#SBATCH --requeue
#SBATCH --signal=B:USR1@180     # what is in hand is written three minutes before the time is over
#SBATCH --open-mode=append
#SBATCH --output=smplifyx-%A_%a.log
##SBATCH --gres=gpu:1           # (*) for a GPU: remove the first #, and set --cpus-per-task=4
set -uo pipefail

SHARDS=${SHARDS:-16}                    # (*) the number of tasks in --array above
IMAGES=${IMAGES:-$HOME/photos}          # (*)
KEYPOINTS=${KEYPOINTS-}                 # (*) empty: people are detected in the photos
OUTPUT=${OUTPUT:-$HOME/output}          # (*) on a file system that all machines share
SMPLIFYX=${SMPLIFYX:-smplifyx}          # (*) the program, for example $HOME/venv/bin/smplifyx
MAX_RESTARTS=${MAX_RESTARTS:-20}

options=(--images "$IMAGES" --output "$OUTPUT" --num-shards "$SHARDS" --shard auto)
[ -z "$KEYPOINTS" ] || options+=(--keypoints "$KEYPOINTS")
[ -n "${SLURM_JOB_GPUS:-}" ] || options+=(--workers "${SLURM_CPUS_PER_TASK:-1}")

"$SMPLIFYX" fit "${options[@]}" "$@" &
child=$!
for signal in USR1 TERM; do
    # shellcheck disable=SC2064 # the signal of this turn
    trap "asked=1; kill -$signal $child 2>/dev/null" "$signal"
done
status=0
while :; do # a signal ends the wait, not the program: its own status is that of a wait without one
    asked=
    wait "$child"
    ended=$?
    [ "$ended" -eq 127 ] || status=$ended
    [ -n "$asked" ] && [ "$ended" -ne 127 ] || break
done

trap - USR1 TERM
# 75: told that the time is nearly over; 138: told so during the start. 137: killed, for example for its memory. 134,
# 139: crashed. 129, 143: asked to end by somebody else, who decides on the task.
case $status in
75 | 134 | 137 | 138 | 139)
    restarts=${SLURM_RESTART_COUNT:-0}
    if [ "$restarts" -lt "$MAX_RESTARTS" ]; then
        echo "smplifyx ended with status $status; back into the queue, restart $((restarts + 1))"
        scontrol requeue "$SLURM_JOB_ID" && sleep 60 # Slurm ends this script now
    fi
    ;;
esac
exit "$status"
