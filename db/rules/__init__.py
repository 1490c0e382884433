"""What rows mean: pure functions and values, without I/O."""
