"""Threads, reused buffers, available memory, interrupts."""
