"""The running desk: what `manage.py desk` starts, watches and ends."""
