"""The page of `tandem report` in a real browser, where one is installed."""

import re
import shutil
import struct
import subprocess
import unittest
import zlib

import common
from common import main, tandem

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome",
                                               "chrome"))), None)


def rows_of_png(data):
    """The unfiltered bytes of each row of an 8-bit picture: enough to count colours."""
    at, body, width, channels = 8, b"", 0, 0
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        chunk = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, channels = struct.unpack(">I", chunk[:4])[0], {2: 3, 6: 4}[chunk[9]]
        if kind == b"IDAT":
            body += chunk
        at += 12 + length
    raw, stride = zlib.decompress(body), width * channels
    before, rows = bytearray(stride), []
    for start in range(0, len(raw), stride + 1):
        kind, row = raw[start], bytearray(raw[start + 1:start + 1 + stride])
        for i in range(stride):
            left = row[i - channels] if i >= channels else 0
            corner = before[i - channels] if i >= channels else 0
            up = before[i]
            if kind == 1:
                row[i] = (row[i] + left) & 255
            elif kind == 2:
                row[i] = (row[i] + up) & 255
            elif kind == 3:
                row[i] = (row[i] + (left + up) // 2) & 255
            elif kind == 4:
                guess = left + up - corner
                near = min((left, up, corner), key=lambda v: abs(guess - v))
                row[i] = (row[i] + near) & 255
        before = row
        rows.append((bytes(row), channels))
    return rows


@unittest.skipUnless(BROWSER, "no browser: apt-get install chromium")
class Browser(common.RunTest):
    def browse(self, *arguments):
        done = subprocess.run(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--hide-scrollbars", "--enable-logging=stderr",
             "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=3000",
             "--user-data-dir=%s" % (self.folder / "browser"), *arguments],
            capture_output=True, text=True, timeout=common.LIMIT)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        # What the page's own policy or script complains about.
        self.assertEqual([line for line in done.stderr.splitlines() if "CONSOLE" in line], [])
        return done.stdout

    def test_a_page_of_two_runs_is_drawn_and_its_script_runs(self):
        self.train("one")
        self.train("two", "seed=9", "stages.contrast.optimizer.lr=3e-3")
        page = self.folder / "report.html"
        code, out, error = tandem("report", self.folder / "one", self.folder / "two", "--out", page)
        self.assertEqual(code, 0, error)
        self.assertEqual(out, "%s\n" % page)
        text = page.read_text()
        self.assertIsNone(re.search(r"(src|href)=(?![\"']?data:)|https?:|@import|url\(", text))
        dom = self.browse("--dump-dom", page.as_uri())
        self.assertIn('data-ready="yes"', dom)
        self.assertIn("<code>stages.contrast.optimizer.lr</code>", dom)
        self.assertNotIn("<code>model.embed_dim</code>", dom)
        # Two lines in each chart but those of evaluations with less than two points.
        self.assertGreater(dom.count('class="line c1"'), 10)
        self.assertGreater(dom.count("data:image/png;base64,"), 10)
        picture = self.folder / "page.png"
        self.browse("--screenshot=%s" % picture, "--window-size=1000,1400", page.as_uri())
        colours = {row[i:i + channels] for row, channels in rows_of_png(picture.read_bytes())[::7]
                   for i in range(0, len(row), channels)}
        self.assertGreater(len(colours), 20)


if __name__ == "__main__":
    main()
