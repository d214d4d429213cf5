"""What all peers share: a place for what is made, packages and sources, and a server's life."""
