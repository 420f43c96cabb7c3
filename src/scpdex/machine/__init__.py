"""Machine: the threads, memory, scratch file and progress bar of a call."""
