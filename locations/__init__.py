"""Where things are: the tree of sites, buildings, departments and rooms, with storage and delivery locations."""
