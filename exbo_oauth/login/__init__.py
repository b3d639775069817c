"""A user's sign-in: the attempt that a program carries from the authorize URL to the callback, and the way back."""
