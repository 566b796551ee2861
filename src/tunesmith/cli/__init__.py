"""The command line: parse, call a workflow, print. The only package that prints."""
