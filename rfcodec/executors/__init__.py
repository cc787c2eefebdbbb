"""Where many independent tasks run: here one after the other, a pool of processes, a Ray cluster, or SLURM."""
