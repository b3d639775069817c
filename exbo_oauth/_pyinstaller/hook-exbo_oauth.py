"""What a frozen program needs of this package, although no import statement says so.

Names are loaded when they are first asked for, and the sandbox's pages are files. What is written for pytest stays
out: it would bring pytest along.
"""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

_FOR_PYTEST = ("exbo_oauth.testing.plugin", "exbo_oauth.testing.store_suite", "exbo_oauth.testing.store_samples")

datas = collect_data_files("exbo_oauth")
hiddenimports = collect_submodules("exbo_oauth", filter=lambda name: name not in _FOR_PYTEST)
