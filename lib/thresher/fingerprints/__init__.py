"""What a step's result depends on, so that a step is skipped while nothing of it has changed, and the reason is known.

`definitions` reads Python files without running them, `code` follows what a notebook uses of them, `inputs` looks at
datasets and files, `fingerprint` puts it all together and says what changed.
"""
