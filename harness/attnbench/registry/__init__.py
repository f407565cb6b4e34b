"""Finds plugins, keeps what they declare as facts, and never imports one itself."""
