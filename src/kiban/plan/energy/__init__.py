"""What it draws and emits, here and elsewhere."""
