"""The `ketgate` command. Needs the extra: pip install 'ketgate[cli]'."""
