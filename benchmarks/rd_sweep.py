"""Rate-distortion sweeps: the same as `rfcodec sweep`.

python benchmarks/rd_sweep.py benchmarks/sweeps/quick.toml --out quick
python benchmarks/rd_sweep.py --clips a.mp4 b.mp4 --backbones gaussian --modes t2v i2v --bpp 0.05 0.1 --anchors x265
"""

import typer

from rfcodec.cli.app import guarded
from rfcodec.cli.sweep import SeveralValues, sweep

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command(cls=SeveralValues)(sweep)

if __name__ == "__main__":
    guarded(app)
