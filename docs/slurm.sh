#!/bin/bash
# Train by 16 ranks on two nodes: sbatch docs/slurm.sh FOLDER RUN
# The same command goes on with a run that has been interrupted; --requeue lets Slurm do so where a node fails.
#SBATCH --job-name=npbsrn
#SBATCH --nodes=2
#SBATCH --ntasks=16
#SBATCH --cpus-per-task=1
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

folder=${1:?name a folder of pictures} run=${2:?name the folder of the run}
export NPBSRN_NUM_THREADS=$SLURM_CPUS_PER_TASK
export NPBSRN_CACHE=${NPBSRN_CACHE:-$PWD/cache} # which all nodes see, so that pictures are decoded once
# A task that dies ends the others, as with mpiexec; by itself, srun would let them wait for it.
begin=(srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" npbsrn train)
if compgen -G "$run/checkpoint*.npz" >/dev/null; then
    "${begin[@]}" --resume -o "$run" --quiet
else
    # 64 patches a step, four a rank: the rate of 8 patches times 2.8, see docs/scale.md
    "${begin[@]}" "$folder" -o "$run" --batch 64 --rate 8.5e-3 --quiet
fi
