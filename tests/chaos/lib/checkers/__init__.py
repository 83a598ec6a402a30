"""The judges. Each reads a history and what the replicas hold, and says what is wrong, in words."""
