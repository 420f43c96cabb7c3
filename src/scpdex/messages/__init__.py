"""Messages: what scanpy's log tells users of a call, its data, its results and the files that are to hold them."""
