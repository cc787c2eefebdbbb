"""Where independent tasks run: in this process, a pool of processes, a Ray cluster, or SLURM."""
