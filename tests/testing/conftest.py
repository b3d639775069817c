"""The sample project is nobody's test here: `sample_project/run.py` runs it against an installed wheel."""

collect_ignore = ["sample_project"]
