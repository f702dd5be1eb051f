"""What is known to be right, and, in `faults`, what is known to be wrong."""
