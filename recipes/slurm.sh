#!/bin/bash
# One run on several nodes of a Slurm cluster, through time limits and preemption:
#
#     sbatch recipes/slurm.sh icml2023 --seed 0 --name big
#
# What follows the file's name goes to `evoplastic run`. Two minutes before the time limit Slurm signals this script,
# which tells evoplastic and nobody else: it saves at the next generation boundary, or after 60 s where it is, and the
# job is queued again. Nodes are not shared, since Ray would be ended on them for all of your jobs. The same command carries the run on, so a job that is killed without notice goes on too.
#SBATCH --job-name=evoplastic
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --exclusive
#SBATCH --time=08:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$head:$((20000 + SLURM_JOB_ID % 20000))
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN # one for all nodes, which Slurm hands the environment to
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_USAGE_STATS_ENABLED=0 RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300
driver=$(mktemp) # holds the process that is to be told, once there is one

tell() {
    while [ ! -s "$driver" ] && kill -0 "${step:-$$}" 2> /dev/null; do sleep 1; done
    kill -USR1 "$(cat "$driver")" 2> /dev/null || true
}
trap 'tell &' USR1

# Ray on every node, evoplastic on the first; Ray stops with it.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=1 --wait=5 \
    ray symmetric-run --address "$address" --min-nodes "$SLURM_NNODES" --num-cpus "$SLURM_CPUS_PER_TASK" -- \
    bash -c 'echo $$ > "$0"; exec evoplastic run "$@"' "$driver" "$@" \
    --backend ray --address "$address" --resume-if-exists --grace 60 &
step=$!

code=0
wait "$step" || code=$?
while kill -0 "$step" 2> /dev/null; do # it was only the signal that ended the waiting
    code=0
    wait "$step" || code=$?
done
case $code in
    0) [ -s "$driver" ] || code=1 ;; # Ray did not come up, and says so above
    130 | 138) scontrol requeue "$SLURM_JOB_ID" ;; # 138: told before it could listen
esac
rm -f "$driver"
exit "$code"
