"""One folder a process; `cli` is the process a person starts."""
