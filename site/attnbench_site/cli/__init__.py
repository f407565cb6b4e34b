"""The verbs of the site."""
