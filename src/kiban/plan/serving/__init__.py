"""What serving takes: a replica's roofline, and the GPUs for a load."""
