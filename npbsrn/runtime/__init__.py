"""Threads, buffers that are kept, available memory, interrupts."""
