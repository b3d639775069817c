"""The two clients, and what they share: the HTTP libraries, the memory of a process, single flight, auth objects."""
