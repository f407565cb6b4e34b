"""The three suites: cases as data, code that measures, one judge each. Planning them never imports torch."""
