"""Rate-distortion sweeps: the same as `rfcodec sweep`.

python benchmarks/rd_sweep.py benchmarks/sweeps/quick.toml --out quick
python benchmarks/rd_sweep.py --clips a.mp4 b.mp4 --backbones gaussian --modes t2v i2v --bpp 0.05 0.1 --anchors x265
"""

import runpy
import sys

if __name__ == "__main__":
    sys.argv[1:1] = ["sweep"]
    runpy.run_module("rfcodec", run_name="__main__")
