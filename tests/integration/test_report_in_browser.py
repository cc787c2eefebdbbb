import re
import shutil
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
from PIL import Image
from sample_sweep import write_sweep

from rfcodec.evaluation.report.page import build_report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=5000",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser on PATH: {', '.join(NAMES)}")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = write_sweep(tmp_path_factory.mktemp("sweep"), frames=9, metrics=("psnr", "lpips"))
    return build_report(folder)


def browse(address, home, *options):
    """What the browser prints, started anew; no host but this machine has an address."""
    command = [BROWSER, *QUIET, f"--user-data-dir={home}", *options, address]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def document(page, tmp_path_factory):
    """The page as it is once its script has run."""
    return browse(page.as_uri(), tmp_path_factory.mktemp("browser"), "--dump-dom")


def test_the_script_runs_and_every_picture_is_there(document):
    root = re.search(r"<html[^>]*>", document)[0]
    assert 'data-script="ok"' in root
    assert 'data-images="complete"' in root
    assert 'data-players="complete"' in root
    assert len(re.findall("<img", document)) > 50
    assert len(re.findall("<video", document)) > 20


def test_the_tables_are_rendered(document):
    words = " ".join(re.sub(r"<[^>]*>", " ", document.partition("<body>")[2]).split())
    assert "gaussian i2v trellis against gaussian i2v topm −24.7 % overlap 76 %" in words
    assert "x265 slow 0.01040 +4 % " in words
    assert "big buck &lt;bunny&gt; 96×54, 9 frames" in words


def test_one_clip_and_one_rate_are_chosen_at_first(document):
    clips = re.findall(r'<(?:div|tbody) data-clip="(\d)"[^>]*>', document)
    hidden = re.findall(r'<(?:div|tbody) data-clip="(\d)"[^>]* hidden=""', document)
    assert set(clips) == {"0", "1"}
    assert set(hidden) == {"1"}
    assert set(re.findall(r'<figure data-rung="(\d)">', document)) == {"2"}
    assert set(re.findall(r'data-choose="(\d)" aria-pressed="true"', document)) == {"2"}


def test_the_page_asks_for_nothing_but_itself(page, tmp_path):
    assert not re.search(r"""(?:src|href|url|action|srcset)\s*[=(]\s*["']?\s*(?:https?:|//)""", page.read_text())
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=page.parent)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        document = browse(f"http://127.0.0.1:{server.server_port}/report.html", tmp_path / "home", "--dump-dom")
        server.shutdown()
    assert 'data-images="complete"' in document
    assert asked == ["/report.html"]


def test_nothing_runs_over_the_side_of_a_narrow_window(page, tmp_path):
    """The browser makes no window narrower than 500 pixels; the style for telephones begins at 640."""
    probe = (
        "<script>for (const at of ['scrollWidth', 'clientWidth']) document.body.dataset[at] = document.documentElement[at]"
    )
    copy = page.with_name("probed.html")
    copy.write_text(page.read_text().replace("</body>", f"{probe}</script></body>"))
    document = browse(copy.as_uri(), tmp_path / "home", "--dump-dom", "--window-size=500,900")
    widths = [int(re.search(rf'data-{name}-width="(\d+)"', document)[1]) for name in ("scroll", "client")]
    assert widths[0] == widths[1] <= 640


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_can_be_looked_at(page, tmp_path, width):
    picture = tmp_path / f"report-{width}.png"
    browse(page.as_uri(), tmp_path / "home", f"--screenshot={picture}", f"--window-size={width},3000")
    drawn = np.asarray(Image.open(picture).convert("L"))
    assert drawn.shape == (3000, width)
    assert drawn.std() > 20
