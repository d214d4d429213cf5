"""One module a peer. Its `prepare` makes what is missing and says how the server is started."""
