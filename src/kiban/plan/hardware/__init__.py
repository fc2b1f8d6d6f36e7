"""What plans run on: accelerators and this machine, and what an hour of them costs."""
