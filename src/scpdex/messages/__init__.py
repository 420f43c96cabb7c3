"""Messages: warnings and notes in scanpy's log, about calls, data, stored results and files."""
