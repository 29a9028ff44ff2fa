"""A Python program for CPython, as a component that exports `wasi:cli/run`."""

import json
import os
import sys

from wit_world import exports


class Run(exports.Run):
    def run(self) -> None:
        print("arguments", len(sys.argv), "|".join(sys.argv[1:]))
        print("GREETING is", os.environ.get("GREETING"))
        print("lines", len(sys.stdin.readlines()))
        os.makedirs("/data/a/b")
        for i in range(5):
            with open(f"/data/a/b/file-{i}", "w") as file:
                file.write("x" * i)
        os.rename("/data/a/b/file-4", "/data/a/last")
        for folder, _, files in sorted(os.walk("/data")):
            print(folder, [(name, os.stat(f"{folder}/{name}").st_size) for name in sorted(files)])
        print(json.dumps({"squares": [i * i for i in range(5)], "text": "ünï"}))
        try:
            open("/elsewhere")
        except OSError as error:
            print(type(error).__name__)
        sys.stderr.write("done\n")
