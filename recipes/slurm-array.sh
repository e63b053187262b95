#!/bin/bash
# Many runs as an array of independent jobs, one cell of a sweep each; ten seeds are the cells 0 to 9:
#
#     sbatch --array=0-9 recipes/slurm-array.sh icml2023-small --seeds 100:109 --name folds
#
# What follows the file's name goes to `evoplastic sweep`. Each cell saves and is queued again before its time is over.
# When all are done, `evoplastic compare folds` prints the table.
#SBATCH --job-name=evoplastic-sweep
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

evoplastic sweep "$@" --cell "$SLURM_ARRAY_TASK_ID" --workers "$SLURM_CPUS_PER_TASK" --grace 90 &
cell=$!
trap 'kill -USR1 "$cell"' USR1

code=0
wait "$cell" || code=$?
while kill -0 "$cell" 2> /dev/null; do # it was only the signal that ended the waiting
    code=0
    wait "$cell" || code=$?
done
case $code in
    130 | 138) scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" ;; # 138: told before it could listen
esac
exit "$code"
