"""What this machine is fast at: measured once, kept, and read by the passes that choose."""
