#!/bin/bash
# Train by 16 ranks on two nodes: sbatch docs/slurm.sh FOLDER RUN
# The same command goes on with a run that has been interrupted: give it again when the time is over. --requeue lets Slurm
# do so where a node fails. --signal leaves two minutes to save the state in. All nodes must have CPUs of one kind: add
# --constraint where yours differ.
#SBATCH --job-name=npbsrn
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --cpus-per-task=1
#SBATCH --hint=nomultithread
#SBATCH --mem-per-cpu=4G
#SBATCH --signal=TERM@120
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

folder=${1:?name a folder of pictures} run=${2:?name the folder of the run}
export NPBSRN_NUM_THREADS=$SLURM_CPUS_PER_TASK
export NPBSRN_CACHE=${NPBSRN_CACHE:-$PWD/cache} # which all nodes see, so that pictures are decoded once
# A task that dies ends the others, as with mpiexec; by itself, srun would let them wait for it. Where ranks are not connected,
# add --mpi=pmi2 for MPICH, or --mpi=pmix for Open MPI: `srun --mpi=list` says what there is.
begin=(srun --kill-on-bad-exit=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" npbsrn train)
if compgen -G "$run/checkpoint*.npz" >/dev/null; then
    "${begin[@]}" --resume -o "$run" --quiet
else
    # 64 patches a step, four a rank: the rate of 8 patches times 2.8, see docs/scale.md
    "${begin[@]}" "$folder" -o "$run" --batch 64 --rate 8.5e-3 --quiet
fi
