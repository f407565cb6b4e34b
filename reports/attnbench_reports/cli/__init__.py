"""The verbs of reports, one file each."""
