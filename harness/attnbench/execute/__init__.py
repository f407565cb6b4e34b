"""Runs jobs: a worker process that measures, a judge process that does not know the plugin, and nothing shared."""
