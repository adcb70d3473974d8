"""What a person sees on a terminal, which is Python's pty here, and what stands in a file instead."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

import common
from common import main

CLEAR = "\r\x1b[K"
DRAWN = re.compile(re.escape(CLEAR) + r"([^\r\n]*contrast \d+/20[^\r\n]*)")


class Progress(common.RunTest):
    def on_terminal(self, name, *arguments, columns):
        """Exit code and all that the terminal was sent."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(self.command(name, *arguments), stdout=subprocess.DEVNULL,
                                   stderr=theirs, stdin=subprocess.DEVNULL, cwd=self.folder)
        os.close(theirs)
        killer = threading.Timer(common.LIMIT, process.kill)
        killer.start()
        sent = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other side has closed
                break
            if not part:
                break
            sent += part
        code = process.wait()
        killer.cancel()
        os.close(ours)
        return code, sent.decode()

    def test_a_bar_is_redrawn_in_its_line(self):
        code, sent = self.on_terminal("run", columns=200)
        self.assertEqual(code, 0, sent)
        drawn = DRAWN.findall(sent)
        self.assertGreaterEqual(len(drawn), 2, sent)
        for line in drawn:
            self.assertRegex(line, r"^\[=* *\] contrast \d+/20  loss \d+\.\d{4} "
                                   r"\(chance 2\.773\)  lr \S+  \d+ samples/s  \d+:\d\d left")
            self.assertLess(len(line), 200)
        self.assertIn("contrast 20/20", drawn[-1])
        bars = [line.split("]")[0].count("=") for line in drawn]
        self.assertEqual(bars, sorted(bars))
        self.assertEqual(drawn[-1].split("]")[0].count(" "), 0)  # full at the end
        # What stands behind the bar begins in a line of its own.
        behind = sent.split(drawn[-1])[-1]
        self.assertTrue(behind == "" or behind.startswith(("\r\n", CLEAR)), repr(behind))
        # Messages clear the bar, stand in whole lines, and the bar comes back below.
        messages = list(re.finditer(r"\d\d:\d\d:\d\d I step \d+:", sent))
        self.assertEqual(len(messages), 2)  # the evaluations
        for message in messages:
            before = sent[:message.start()]
            self.assertTrue(before.endswith(CLEAR), repr(before[-80:]))

    def test_a_narrow_terminal_gets_lines_that_fit(self):
        code, sent = self.on_terminal("run", columns=40)
        self.assertEqual(code, 0, sent)
        drawn = DRAWN.findall(sent)
        self.assertGreaterEqual(len(drawn), 2, sent)
        for line in drawn:
            self.assertLess(len(line), 40)

    def test_a_file_gets_plain_lines(self):
        error = self.train("run")
        self.assertNotIn("\x1b", error)
        shown = re.findall(r"^\d\d:\d\d:\d\d I contrast (\d+)/20  loss [\d.]+ \(chance 2\.773\)  lr",
                           error, re.MULTILINE)
        self.assertEqual((shown[0], shown[-1]), ("1", "20"))
        self.assertLess(len(shown), 25)


if __name__ == "__main__":
    main()
