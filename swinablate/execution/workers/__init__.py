"""Worker processes, wherever they were started: heard, told to stop, ended; here or far away."""
