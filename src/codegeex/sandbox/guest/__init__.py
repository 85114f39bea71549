"""What runs inside the container: the supervisor and its helpers. Only the standard library is imported here."""
