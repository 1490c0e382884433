"""What runs beside requests, in every process that serves."""
